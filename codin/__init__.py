"""codin: agents that speak A2A v1.0.

The few names a program starts with stand here; everything else is imported from its package.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin import a2a
    from codin.agent import Agent, AgentResponse
    from codin.client import connect
    from codin.mesh import Mesh
    from codin.server import serve
    from codin.task import Task
    from codin.tool import Tool

__version__ = "0.1.0"
__all__ = ["Agent", "AgentResponse", "Mesh", "Task", "Tool", "a2a", "connect", "serve"]

# Imported on first use, so that `import codin` costs nothing and a client never loads a server.
_HOMES = {
    "Agent": "codin.agent",
    "AgentResponse": "codin.agent",
    "Mesh": "codin.mesh",
    "Task": "codin.task",
    "Tool": "codin.tool",
    "connect": "codin.client",
    "serve": "codin.server",
}


def __getattr__(name: str) -> object:
    if name == "a2a":
        return import_module("codin.a2a")
    if name not in _HOMES:
        raise AttributeError(f"module 'codin' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
