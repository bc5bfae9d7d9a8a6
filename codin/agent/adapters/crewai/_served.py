"""What crews, flows and agents have in common when they are served."""

from __future__ import annotations

from typing import Any

from crewai.core.providers.human_input import HumanInputProvider

from codin.agent.adapters._profile import Profile
from codin.agent.adapters.crewai._asking import ask_callers
from codin.agent.adapters.crewai._human import Reviewer
from codin.agent.adapters.crewai._options import CrewAIOptions
from codin.agent.adapters.crewai._relay import Relay
from codin.agent.adapters.crewai._run import Run
from codin.task import Task
from codin.tool._threads import Threads

__all__ = ["Served"]

_MAX_THREADS = 64


class Served(Profile):
    """An agent whose runs are CrewAI's. `profile` is what `Profile` takes."""

    def __init__(self, options: CrewAIOptions, **profile: Any) -> None:
        super().__init__(options, framework="crewai", **profile)
        self._options = options
        self._threads = Threads(options.get("max_threads", _MAX_THREADS), self.id)

    def _begin(self, task: Task, human: HumanInputProvider | None = None) -> Run:
        """A run for the task."""
        ask_callers()
        relay = Relay(task, tools=self._options.get("tool_activity", False))
        console = self._options.get("console", False)
        return Run(task, relay, self._threads, human=human or Reviewer(), console=console)
