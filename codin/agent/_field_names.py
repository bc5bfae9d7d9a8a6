"""Which fields an object type reads, so that one it does not know can be refused."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict  # that of `typing` does not know the other's before Python 3.12

from codin.tool._hints import is_union

__all__ = ["field_names"]


def field_names(kind: Any) -> frozenset[str] | None:
    """The names by which data sets the fields of a model, dataclass or TypedDict.

    None where more may be read than the fields say: a dict, a type that sets pydantic's `extra`, one whose validator
    sees the raw data, and one that finds a value by a path.
    """
    if is_union(kind):
        members = [field_names(member) for member in get_args(kind)]
        known = [names for names in members if names is not None]
        return frozenset[str]().union(*known) if len(known) == len(members) else None
    kind = get_origin(kind) or kind
    fields = _fields_of(kind)
    if fields is None or "extra" in _config_of(kind) or _sees_raw_data(kind):
        return None
    names: set[str] = set()
    for name, field in fields.items():
        alias = field.validation_alias
        if not isinstance(alias, str | None):
            return None
        names |= {name, alias or name}
    return frozenset(names)


def _fields_of(kind: Any) -> Mapping[str, FieldInfo] | None:
    if getattr(kind, "__pydantic_root_model__", False):
        return None
    fields: Mapping[str, FieldInfo] | None = getattr(kind, "__pydantic_fields__", None)  # a model or its dataclass
    if fields is not None:
        return fields
    if (dataclasses.is_dataclass(kind) or is_typeddict(kind)) and "alias_generator" not in _config_of(kind):
        with contextlib.suppress(NameError, PydanticUserError):  # a local name, a ClassVar: pydantic has its own ways
            hints = get_type_hints(kind, include_extras=True)
            return {name: FieldInfo.from_annotation(_bare(hint)) for name, hint in hints.items()}
    return None


def _config_of(kind: Any) -> Mapping[str, Any]:
    return getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}


def _sees_raw_data(kind: Any) -> bool:
    decorators: Any = getattr(kind, "__pydantic_decorators__", None)
    validators: Iterable[Any] = decorators.model_validators.values() if decorators is not None else ()
    return any(validator.info.mode != "after" for validator in validators)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
