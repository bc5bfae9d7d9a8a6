"""A single agent of CrewAI as an agent."""

from __future__ import annotations

from typing import Any, Unpack, cast

from crewai import Agent
from crewai.lite_agent_output import LiteAgentOutput

from codin.agent.adapters._history import SAID, History, MemoryHistory
from codin.agent.adapters._profile import thread_id
from codin.agent.adapters.crewai._input import text_of
from codin.agent.adapters.crewai._options import CrewAIOptions, Said
from codin.agent.adapters.crewai._output import answer_of, schema_of
from codin.agent.adapters.crewai._served import Served
from codin.agent.adapters.crewai._tools import tools_of
from codin.task import AgentResponse, Reject, Task

__all__ = ["SoloAgent"]


class SoloAgent(Served):
    """An agent that works alone, as `Agent.kickoff` runs it. A context is a conversation with it."""

    def __init__(self, agent: Agent, **options: Unpack[CrewAIOptions]) -> None:
        self._agent = agent
        self._model = options.get("output")
        super().__init__(
            options,
            name=agent.role,
            description=agent.goal,
            tools=tools_of(agent.tools or ()),
            output_modes=["text/plain"] if self._model is None else ["application/json"],
            output_schema=schema_of(self._model),
        )
        self._history: History[Said] = options.get("history") or MemoryHistory()
        self._streams = self._model is None and agent.guardrail is None

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        return f"{SAID}; give adapt(…, history=…)" if isinstance(self._history, MemoryHistory) else ""

    async def handle(self, task: Task) -> AgentResponse:
        """Give the agent the message."""
        text = text_of(self.name, task.message)
        if not text:
            raise Reject(f"{self.name} takes text.")
        said: Said = {"role": "user", "content": text}
        thread = thread_id(self.id, task)
        messages = [*await self._history.load(thread), said]
        run = self._begin(task)

        async def work() -> LiteAgentOutput:
            agent = cast("Any", self._agent).copy()
            own = str(agent.id)
            run.relay.answers = lambda _, event: self._streams and event.agent_id == own
            return await agent.kickoff_async(messages, response_format=self._model)

        output = await run.execute(work)
        answer = await answer_of(output, run.relay)
        await self._history.append(thread, [said, {"role": "assistant", "content": output.raw}])
        return answer
