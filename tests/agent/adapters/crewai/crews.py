"""Small crews; untyped, as what most programs give to `adapt`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import crewai
from crewai.tools import BaseTool

__all__ = ["Add", "Agent", "Crew", "Task", "crew_of", "helper"]

Agent: Any = crewai.Agent
Crew: Any = crewai.Crew
Task: Any = crewai.Task


class Add(BaseTool):
    name: str = "add"
    description: str = "Add two numbers."

    def _run(self, a: int, b: int) -> int:
        return a + b


def helper(llm: Any, role: str = "Helper", tools: Sequence[BaseTool] = (), **options: Any) -> Any:
    """An agent."""
    return Agent(role=role, goal="help", backstory="a secret past", llm=llm, tools=list(tools), **options)


def crew_of(llm: Any, *descriptions: str, tools: Sequence[BaseTool] = (), crew: Any = None, **last: Any) -> Any:
    """A crew of one agent with a task for each description, `{q}` by default; `last` goes to the last one."""
    agent = helper(llm, tools=tools)
    texts = descriptions or ("{q}",)
    tasks = [Task(description=text, expected_output="text", agent=agent) for text in texts[:-1]]
    tasks.append(Task(**{"description": texts[-1], "expected_output": "text", "agent": agent, **last}))
    return Crew(**{"name": "helpers", "agents": [agent], "tasks": tasks, **(crew or {})})
