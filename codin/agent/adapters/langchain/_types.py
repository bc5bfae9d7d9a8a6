"""Types of inputs and answers: which hold messages, and which can be described."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from langchain_core.messages import BaseMessage
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

__all__ = ["UNREADABLE", "holds_messages", "leaves"]

UNREADABLE = (PydanticUserError, PydanticUndefinedAnnotation, NameError, TypeError)
"""What reading a type may raise: pydantic refuses `typing.TypedDict` on Python below 3.12, and types it never knows."""


def holds_messages(kind: Any) -> bool:
    """Whether a type is a message or a list of messages."""
    return kind is not Any and any(inspect.isclass(leaf) and issubclass(leaf, BaseMessage) for leaf in leaves(kind))


def leaves(kind: Any) -> Sequence[Any]:
    """The types inside Optional, unions, Annotated and sequences; a dict is one of its own."""
    origin = get_origin(kind)
    if origin is Annotated:
        return leaves(get_args(kind)[0])
    if origin in {Union, UnionType} or (inspect.isclass(origin) and issubclass(origin, Sequence)):
        return [leaf for part in get_args(kind) for leaf in leaves(part)]
    return [kind]
