"""Where workloads run: functions, modules, commands, containers and endpoints, each on the back-end that fits."""

from importlib import import_module
from typing import TYPE_CHECKING

from codin.runtime._kinds import runtime_of, runtimes
from codin.runtime._protocol import (
    Command,
    Container,
    Emit,
    Endpoint,
    Event,
    Function,
    Item,
    Kind,
    Module,
    Outcome,
    Raised,
    SandboxDemand,
    Workload,
)
from codin.runtime._result import RuntimeResult
from codin.runtime._runtime import Runtime

if TYPE_CHECKING:
    from codin.runtime._kubernetes.deployment import Deployment
    from codin.runtime.http import HttpRuntime
    from codin.runtime.local import LocalRuntime
    from codin.runtime.omni import OmniRuntime

__all__ = [
    "Command",
    "Container",
    "Deployment",
    "Emit",
    "Endpoint",
    "Event",
    "Function",
    "HttpRuntime",
    "Item",
    "Kind",
    "LocalRuntime",
    "Module",
    "OmniRuntime",
    "Outcome",
    "Raised",
    "Runtime",
    "RuntimeResult",
    "SandboxDemand",
    "Workload",
    "runtime_of",
    "runtimes",
]

_LAZY = {
    "Deployment": "codin.runtime._kubernetes.deployment",
    "HttpRuntime": "codin.runtime.http",
    "LocalRuntime": "codin.runtime.local",
    "OmniRuntime": "codin.runtime.omni",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value
