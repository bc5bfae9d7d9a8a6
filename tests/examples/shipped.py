"""The ready-made agents of the folder `agents`, loaded by their path, as `codin serve` does.

By name they cannot be imported: the OpenAI Agents SDK installs a package that is called `agents` too.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

__all__ = ["shipped"]

_FOLDER = Path(__file__).resolve().parents[2] / "agents"


def shipped(agent: str) -> Any:
    """The module of an agent, e.g. of "reader"; the same one at every call."""
    name = f"shipped_{agent}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, _FOLDER / agent / "agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
