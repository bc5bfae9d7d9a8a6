"""Graphs, without the type parameters that langgraph leaves open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from langgraph.func import entrypoint
from langgraph.graph import StateGraph

__all__ = ["Node", "build", "flow", "nothing"]

Node = Callable[[Any], Any]


def build(state: Any, **options: Any) -> Any:
    """A builder; what `adapt` gets is as untyped here as in most programs."""
    return StateGraph(state, **options)


def nothing(state: Any) -> dict[str, Any]:
    """A node that changes nothing."""
    return {}


def flow(function: Callable[..., Any]) -> Any:
    """A graph of the functional API."""
    return cast("Any", entrypoint)()(function)
