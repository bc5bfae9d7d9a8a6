"""Serves parley's talkers as agents. This is all that an adapter is; `pyproject.toml` says where codin finds it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, Unpack

from parley import Called, Conversation, Paused, Returned, Spent, Talker, Text

from codin.agent import AgentResponse, Task
from codin.agent.adapters import AdapterOptions, Profile, Question, ToolActivity, Unclear, answers, ask, thread_id
from codin.errors import ConfigError
from codin.task import Answer
from codin.tool import ToolSpec


def adapt(talker: object, **options: Unpack[AdapterOptions]) -> ParleyAgent:
    """A talker as an agent. What codin calls for every object of parley."""
    if not isinstance(talker, Talker):
        raise ConfigError(f"{type(talker).__name__} of parley is no agent", hint="serve a parley.Talker")
    return ParleyAgent(talker, **options)


class ParleyAgent(Profile):
    """A talker, and the conversations it has had, one for each context of each caller."""

    def __init__(self, talker: Talker, **options: Unpack[AdapterOptions]) -> None:
        tools = [ParleyTool(name, function) for name, function in talker.tools.items()]
        super().__init__(
            options,
            name=talker.name,
            description="Talks.",
            framework="parley",
            tools=tools,
            output_schema=talker.schema,
        )
        self._talker = talker
        self._activity = options.get("tool_activity", False)
        self._had: dict[str, Conversation] = {}  # parley stores nothing; a framework that does has its own place

    async def handle(self, task: Task) -> AgentResponse:
        """Answer a message: one that begins a turn, or one that answers a question."""
        if task.resume is None:
            before = self._had.get(thread_id(self.id, task), [])
            return await self._run(task, [*before, {"role": "user", "content": task.text}], {})
        # The token is kept in codin's log, so a question survives a restart as well.
        questions = [Question(id, text) for id, text in task.resume["questions"].items()]
        try:
            given = answers(questions, Answer(task.message))
        except Unclear as problem:
            return ask(questions, task.resume, str(problem))
        return await self._run(task, task.resume["conversation"], given)

    async def _run(self, task: Task, conversation: Conversation, given: Mapping[str, Any]) -> AgentResponse:
        activity = ToolActivity(task, enabled=self._activity)
        async for event in self._talker.run(conversation, given):
            match event:
                case Text(piece):
                    if self._talker.schema is None:
                        await task.write(piece)
                case Called(id, name, arguments):
                    await activity.started(id, name, arguments)
                case Returned(id, name, result):
                    await activity.finished(id, name, result)
                case Spent(read, written):
                    task.usage(input_tokens=read, output_tokens=written)
                case Paused(questions):
                    token = {"conversation": conversation, "questions": questions}
                    return ask([Question(id, text) for id, text in questions.items()], token)
        self._had[thread_id(self.id, task)] = conversation
        structured = self._talker.schema is not None
        return AgentResponse.completed(data=json.loads(conversation[-1]["content"]) if structured else None)


class ParleyTool:
    """A tool of a talker, for cards that are to show it."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        self.spec = ToolSpec(inspect.getdoc(function) or "")
        self._function = function

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a talker."""
        return self._function(*args, **kwargs)
