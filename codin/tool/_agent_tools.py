"""The tools of a served agent, as its tasks use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from codin.task import Task
from codin.task._task import use_of
from codin.tool._executor import ToolExecutor
from codin.tool._protocol import Sandboxing, Tool
from codin.tool._registry import ToolRegistry
from codin.tool._sandboxed import in_runtime

__all__ = ["AgentTools", "Executors"]


class AgentTools:
    """What stands behind `task.tool`.

    Args:
        tools: those that the agent has now.
        sandbox: what whoever runs the agent says of tools, by name.
    """

    def __init__(self, tools: Callable[[], Iterable[Tool]], sandbox: Mapping[str, Sandboxing] | None = None) -> None:
        self._tools = tools
        self._made: tuple[Sequence[str], ToolExecutor] | None = None
        self.sandbox: Mapping[str, Sandboxing] | None = sandbox

    async def __call__(self, task: Task, name: str, arguments: Mapping[str, Any]) -> Any:
        return await self.executor.call(name, arguments, task=task)

    @property
    def executor(self) -> ToolExecutor:
        # Made when one is used: those of a framework may share a name. And made anew when the agent has others.
        tools = [*self._tools()]
        names = [tool.name for tool in tools]
        if self._made is None or self._made[0] != names:
            self._made = names, ToolExecutor(tools, run=in_runtime(), sandbox=self.sandbox)
        return self._made[1]

    def has(self, tool: Tool) -> bool:
        """Whether the agent has this very tool; another one may have its name."""
        return any(each is tool for each in self._tools())


class Executors:
    """What uses the tools of a registry, wherever they are called from."""

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry
        self._alone = ToolExecutor(registry, run=in_runtime())
        self._served: WeakKeyDictionary[AgentTools, ToolExecutor] = WeakKeyDictionary()

    def find(self, tool: Tool, task: Task | None) -> ToolExecutor:
        """The executor of the task's agent, if that has the tool; else one of the registry.

        What whoever runs the agent says of sandboxes holds for both.
        """
        use = None if task is None else use_of(task)
        if not isinstance(use, AgentTools):
            return self._alone
        if use.has(tool):
            return use.executor
        if (found := self._served.get(use)) is None:
            found = self._served[use] = ToolExecutor(self._registry, run=in_runtime(), sandbox=use.sandbox)
        return found
