"""The result that the pieces of a tool add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codin.tool._protocol import ToolSpec

__all__ = ["whole"]


def whole(pieces: Sequence[Any], spec: ToolSpec) -> Any:
    """Text, joined, where nothing else was given and no schema asks for a list; else the list."""
    if spec.output_schema is None and all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    return list(pieces)
