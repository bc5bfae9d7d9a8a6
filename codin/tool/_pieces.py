"""The result that the pieces of a tool add up to, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from codin.tool._protocol import ToolSpec

__all__ = ["parts", "whole"]


def whole(pieces: Sequence[Any], spec: ToolSpec) -> Any:
    """Text, joined, where nothing else was given and no schema asks for a list; else the list."""
    if spec.output_schema is None and all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    return list(pieces)


def parts(result: Any) -> Sequence[Any]:
    """The pieces of a result that is there as a whole."""
    return cast("list[Any]", result) if isinstance(result, list) else [result]
