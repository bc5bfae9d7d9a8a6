"""A flow as an agent."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias, Unpack, cast

from crewai import Flow
from crewai.events import MethodExecutionStartedEvent, TaskStartedEvent
from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from pydantic import BaseModel, ValidationError

from codin.agent.adapters._expected import problem
from codin.agent.adapters._profile import thread_id
from codin.agent.adapters._questions import Unclear, answers, ask, json_value
from codin.agent.adapters.crewai._asking import feedback_question, feedback_text
from codin.agent.adapters.crewai._copies import copy_of_flow, resuming
from codin.agent.adapters.crewai._input import Fields, text_field, text_of
from codin.agent.adapters.crewai._options import CrewAIOptions
from codin.agent.adapters.crewai._output import answer_of
from codin.agent.adapters.crewai._served import Served
from codin.task import AgentResponse, Answer, Reject, Task

__all__ = ["FlowAgent"]

_OPEN_TEXT = "message"  # where plain text goes in a state that is a dict

_Start: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]

_METHOD: ContextVar[str] = ContextVar("codin_crewai_method", default="")


@dataclass(frozen=True, slots=True)
class _Pending:
    """A flow that waits for feedback: its state, and what is asked."""

    state: Any
    context: dict[str, Any]


class FlowAgent(Served):
    """A flow as an agent. What it returns is the answer."""

    def __init__(self, flow: Flow[Any], **options: Unpack[CrewAIOptions]) -> None:
        self._flow = flow
        self._text_from = frozenset(options.get("text_from", ()))
        inner: Any = flow
        name = flow.name or str(inner._definition.name)
        self._talks: bool = inner._is_conversational_enabled()
        self._fields = Fields(name, None) if self._talks else _fields(flow, options, name)
        super().__init__(
            options,
            name=name,
            description=_described(flow) or f"The CrewAI flow {name!r}.",
            output_modes=["text/plain", "application/json"],
            input_schema=self._fields.schema,
        )

    async def handle(self, task: Task) -> AgentResponse:
        """Run the flow for a new task, or go on with one that has asked for feedback."""
        token = cast("Mapping[str, Any] | None", task.resume)
        if token is None:
            return await self._run(task, self._turn(task) if self._talks else self._kickoff(task))
        question = feedback_question(token["context"])
        try:
            (value,) = answers([question], Answer(task.message)).values()
        except Unclear as problem:
            return ask([question], token, str(problem))
        feedback = feedback_text(value)

        def resume(flow: Any) -> Any:
            resuming(flow, token["state"], PendingFeedbackContext.from_dict(token["context"]))
            return flow.resume_async(feedback)

        return await self._run(task, resume)

    def _kickoff(self, task: Task) -> _Start:
        inputs = self._fields.read(task.message)
        _check(self._flow, inputs, self.name)
        if self._flow.persistence is not None:
            inputs["id"] = thread_id(self.id, task)
        return lambda flow: flow.kickoff_async(inputs=inputs)

    def _turn(self, task: Task) -> _Start:
        """A flow that holds a conversation is told what the caller says."""
        text = text_of(self.name, task.message)
        session = thread_id(self.id, task)
        return lambda flow: asyncio.to_thread(flow.handle_turn, text, session_id=session)

    async def _run(self, task: Task, start: _Start) -> AgentResponse:
        run = self._begin(task)

        async def work() -> Any:
            flow = copy_of_flow(self._flow, tells_methods=bool(self._text_from))
            drafting: set[str] = set()
            run.relay.answers = lambda source, event: self._speaks(flow, source, event, drafting)
            result = await start(flow)
            if isinstance(result, HumanFeedbackPending):
                return _Pending(json_value(flow.state), json_value(result.context.to_dict()))
            return result

        result = await run.execute(work)
        if isinstance(result, _Pending):
            return ask([feedback_question(result.context)], {"state": result.state, "context": result.context})
        return await answer_of(result, run.relay)

    def _speaks(self, flow: Any, source: Any, event: Any, drafting: set[str]) -> bool:
        """Whether an event belongs to a method whose text is the answer. Threads of a method have its context.

        Args:
            drafting: the tasks of crews in the flow whose text is reviewed before it is an answer; noted here.
        """
        if isinstance(event, TaskStartedEvent) and source.human_input:
            drafting.add(str(source.id))
        if isinstance(event, MethodExecutionStartedEvent) and source is flow:
            _METHOD.set(event.method_name)
        return _METHOD.get() in self._text_from and event.task_id not in drafting


def _fields(flow: Flow[Any], options: CrewAIOptions, name: str) -> Fields:
    state, values = flow.state, options.get("defaults", {})
    if not isinstance(state, BaseModel):
        return Fields(name, None, text=options.get("text_field", _OPEN_TEXT), values=values)
    fields = {field: info for field, info in type(state).model_fields.items() if field != "id"}
    texts = [field for field, info in fields.items() if info.annotation is str and field not in values]
    wanted = text_field(options.get("text_field"), texts, fields)
    schema = _schema(type(state)) if fields else None
    return Fields(name, list(fields), schema, text=wanted, values=values, refuses_text=bool(fields))


def _schema(state: type[BaseModel]) -> Mapping[str, Any]:
    """The state's schema without its id, which is codin's."""
    schema = state.model_json_schema()
    properties = {name: value for name, value in schema["properties"].items() if name != "id"}
    kept = {key: schema[key] for key in ("$defs", "required") if key in schema}
    return {"type": "object", "properties": properties, **kept}


def _check(flow: Flow[Any], inputs: Mapping[str, Any], name: str) -> None:
    """Refuse what the state's model refuses."""
    if not isinstance(flow.state, BaseModel):
        return
    try:
        type(flow.state).model_validate({**flow.state.model_dump(), **inputs})
    except ValidationError as error:
        raise Reject(f"{name}: {problem(error)}.") from None


def _described(flow: Flow[Any]) -> str | None:
    """The docstring of the flow's own class."""
    text = vars(type(flow)).get("__doc__")
    return inspect.cleandoc(text) if isinstance(text, str) else None
