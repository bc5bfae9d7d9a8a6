"""How many values a JSON text holds, counted before any of them becomes an object."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, cast

from pydantic_core import from_json

from codin.a2a._errors import InvalidParams
from codin.a2a._model import json_path, unreadable

__all__ = ["check_values", "too_many_values"]

# A comma, or a bracket with something in it, each of which brings a value; before it, what brings none: texts, which
# may be cut off, the rest of scalars, and empty brackets. It gives nothing back, or wrong texts would take for ever.
_BRINGS_ONE = re.compile(
    rb"""(?:"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)|[^"\[{,]++|[\[{](?=[ \t\r\n]*+[\]}]))*+([,\[{]|\Z)""", re.DOTALL
)
_ANYTHING = frozenset({"data", "metadata"})
"""Fields that hold what their sender likes: how it goes on below is nobody's business."""

_LONGEST_PATH = 100


def check_values(text: bytes, most: int) -> None:
    """See that a text holds at most so many values.

    Raises:
        InvalidParams: it does not; the field where the bound is reached is named.
        ParseError: it is no JSON.
    """
    if text.count(b",") + text.count(b"[") + text.count(b"{") < most:
        return
    beyond = next(islice(_BRINGS_ONE.finditer(text), most - 1, None), None)
    if beyond is not None and beyond[1]:
        raise too_many_values(_place(text[: beyond.end()]), most)


def too_many_values(field: str, most: int) -> InvalidParams:
    """The error for a request that holds more."""
    hint = "send what is large as one text or one file"
    return InvalidParams.of(field[:_LONGEST_PATH], f"holds too many values; {most} are allowed in a request", hint=hint)


def _place(text: bytes) -> str:
    """The JSON path of the parameter in which a text breaks off."""
    try:
        inside = from_json(text, allow_partial=True)
    except ValueError as error:
        raise unreadable(str(error)) from None
    path: list[int | str] = []
    while isinstance(inside, dict | list) and inside and not (path and path[-1] in _ANYTHING):
        entries = cast("dict[str, Any] | list[Any]", inside)
        step, inside = (len(entries) - 1, entries[-1]) if isinstance(entries, list) else [*entries.items()][-1]
        path.append(step)
    return json_path(tuple(path[path.index("params") + 1 :] if "params" in path else path))
