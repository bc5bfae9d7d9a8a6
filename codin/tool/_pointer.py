"""JSON pointers, as references within a document have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

__all__ = ["pointed"]


def pointed(root: object, reference: str) -> Any:
    """What is at `#`, or at `#/` and so on. Raises LookupError when nothing is, or when it leads elsewhere."""
    start, *steps = reference.split("/")
    if start != "#":
        raise LookupError(reference)
    found: Any = root
    for step in steps:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = cast("Mapping[str, Any]", found)[name]
        elif isinstance(found, list) and name.isdecimal() and int(name[:9]) < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[int(name[:9])]
        else:
            raise LookupError(reference)
    return found
