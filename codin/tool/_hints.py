"""What a type hint asks for: the one place that looks into `typing`."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections import abc
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import (
    Annotated,
    Any,
    NewType,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel
from typing_extensions import is_typeddict  # that of `typing` does not know the other's before Python 3.12

from codin import a2a
from codin.task import AgentResponse, Task

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic takes no other before 3.12
    from typing_extensions import TypedDict

# A TypedDict with names that are known only at run time is beyond type checkers.
_typed_dict: Any = TypedDict

__all__ = ["Hint", "Kind", "Media", "is_union", "object_of", "read_hint", "readable", "resolve"]


@dataclass(frozen=True, slots=True)
class Media:
    """The media type of a file, written beside its hint: `Annotated[bytes, Media("image/png")]`.

    Args:
        type: on a parameter, what is accepted (`image/*` too, and several of them); on a return, what is sent.
        filename: the name of a returned file.
    """

    type: str
    filename: str | None = None


class Kind(Enum):
    """Where a value comes from, or what it is sent as."""

    TASK = auto()
    MESSAGE = auto()
    BYTES = auto()
    PART = auto()
    MANY_BYTES = auto()
    MANY_PARTS = auto()
    TEXT = auto()
    OBJECT = auto()
    """A whole JSON object: a model, a dataclass, a TypedDict, a dict."""
    VALUE = auto()
    """Any other type pydantic knows."""
    ANY = auto()
    NONE = auto()
    ARTIFACT = auto()
    RESPONSE = auto()
    WIRE_TASK = auto()
    """`a2a.Task`, which is easily taken for the handle."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A type hint, read.

    Attributes:
        full: the hint as pydantic takes it.
        core: the type without Annotated, Optional and aliases.
        nullable: whether None is one of its values.
        constrained: whether an Annotated says more than the core does.
    """

    full: Any
    core: Any
    kind: Kind
    nullable: bool = False
    constrained: bool = False
    media: tuple[Media, ...] = ()


def resolve(annotation: Any, scope: Mapping[str, Any], local: Mapping[str, Any]) -> Any:
    """An annotation that may be text as the type it names. Raises NameError."""
    holder = types.SimpleNamespace(__annotations__={"hint": annotation})
    return get_type_hints(holder, dict(scope), dict(local), include_extras=True)["hint"]


def read_hint(annotation: Any) -> Hint:
    """Take a resolved annotation apart."""
    core, extras, nullable = _core_of(annotation)
    media = tuple(extra for extra in extras if isinstance(extra, Media))
    return Hint(readable(annotation), core, _kind_of(core), nullable, len(media) < len(extras), media)


def _core_of(hint: Any) -> tuple[Any, list[Any], bool]:
    extras: list[Any] = []
    nullable = False
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            extras += hint.__metadata__
            hint = hint.__origin__
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        elif is_union(hint):
            members = [member for member in get_args(hint) if member is not types.NoneType]
            nullable = nullable or len(members) < len(get_args(hint))
            if len(members) != 1:
                return Union[tuple(members)], extras, nullable  # noqa: UP007 - of a tuple
            hint = members[0]
        else:
            return hint, extras, nullable


def is_union(hint: Any) -> bool:
    """Whether it is written `A | B`, `Union[A, B]` or `Optional[A]`."""
    return get_origin(hint) in (Union, types.UnionType)


_LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection)
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_KINDS: Mapping[Any, Kind] = {
    Any: Kind.ANY, object: Kind.ANY, types.NoneType: Kind.NONE, None: Kind.NONE, str: Kind.TEXT, bytes: Kind.BYTES,
    a2a.Part: Kind.PART, a2a.Message: Kind.MESSAGE, a2a.Artifact: Kind.ARTIFACT, a2a.Task: Kind.WIRE_TASK,
    AgentResponse: Kind.RESPONSE, Task: Kind.TASK,
}  # fmt: skip


def _kind_of(core: Any) -> Kind:
    origin = get_origin(core)
    if is_union(core):
        kinds = {_kind_of(_core_of(member)[0]) for member in get_args(core)}
        return Kind.OBJECT if kinds == {Kind.OBJECT} else Kind.VALUE
    if origin in _LISTS:
        return {a2a.Part: Kind.MANY_PARTS, bytes: Kind.MANY_BYTES}.get(_core_of(get_args(core)[0])[0], Kind.VALUE)
    if origin is None and isinstance(core, abc.Hashable) and core in _KINDS:
        return _KINDS[core]
    if core in _DICTS or origin in _DICTS or is_typeddict(origin or core):
        return Kind.OBJECT
    base = origin or core
    if dataclasses.is_dataclass(base) or (isinstance(base, type) and issubclass(base, BaseModel)):
        return Kind.OBJECT
    return Kind.VALUE


def readable(hint: Any) -> Any:
    """The hint with every `typing.TypedDict` as one that pydantic takes on this Python."""
    if sys.version_info >= (3, 12):
        return hint
    if is_typeddict(hint):
        return hint if type(hint).__module__ != "typing" else _rewritten(hint)
    arguments = get_args(hint)
    origin = get_origin(hint)
    if not arguments or not any(is_typeddict(part) or get_args(part) for part in arguments):
        return hint
    inner = tuple(readable(argument) for argument in arguments)
    if inner == arguments:
        return hint
    if origin is Annotated:
        return Annotated[(inner[0], *hint.__metadata__)]  # pyright: ignore[reportInvalidTypeForm]
    if is_union(hint):
        return Union[inner]  # noqa: UP007 - of a tuple
    return types.GenericAlias(origin, inner) if isinstance(origin, type) else hint


def _rewritten(hint: Any) -> Any:
    fields = get_type_hints(hint, include_extras=True)
    required: frozenset[str] = hint.__required_keys__
    return object_of(hint.__name__, {name: _bare(field) for name, field in fields.items()}, required, hint.__doc__)


def _bare(field: Any) -> Any:
    return get_args(field)[0] if get_origin(field) in (Required, NotRequired) else field


def object_of(name: str, fields: Mapping[str, Any], required: abc.Set[str], doc: str | None = None) -> Any:
    """A TypedDict made from its fields."""
    members = {key: readable(field) for key, field in fields.items()}
    optional = {key: NotRequired[field] for key, field in members.items() if key not in required}
    made: Any = _typed_dict(name, members | optional)
    made.__doc__ = doc
    return made
