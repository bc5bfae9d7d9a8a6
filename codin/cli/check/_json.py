"""What a JSON value is, in words that a type checker follows."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

__all__ = ["Json", "is_list", "is_object", "objects"]

Json: TypeAlias = dict[str, Any]


def is_object(value: Any) -> TypeGuard[Json]:
    """Whether it is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether it is a list."""
    return isinstance(value, list)


def objects(value: Any) -> list[Json]:
    """The objects of a list; none where there is no list."""
    return [each for each in value if is_object(each)] if is_list(value) else []
