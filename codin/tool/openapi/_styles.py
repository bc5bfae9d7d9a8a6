"""Values as they are written into a path, a query, a header or a cookie. Source: OpenAPI 3.1, 4.8.12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from pydantic_core import to_json

__all__ = ["pairs", "plain", "scalar"]

_RESERVED = ":/?@!$'()*,;"  # allowReserved, but for what would end the value
_JOINTS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "|"}


def scalar(value: Any) -> str:
    """One value as text."""
    return value if isinstance(value, str) else "" if value is None else to_json(value).decode()


def _quoted(value: Any, *, reserved: bool = False) -> str:
    return quote(scalar(value), safe=_RESERVED if reserved else "")


def plain(value: Any, name: str, style: str, *, explode: bool, quoted: bool) -> str:
    """A value in a path (`simple`, `label`, `matrix`) or a header (`simple`)."""
    say = _quoted if quoted else scalar
    given = _flat(value, joint="=" if explode else ",")
    texts = [f"{say(key)}{joint}{say(each)}" if key is not None else say(each) for key, joint, each in given]
    if style == "label":
        return "." + ("." if explode else ",").join(texts)
    if style == "matrix":
        if not explode or not isinstance(value, (list, dict)):
            return f";{say(name)}={','.join(texts)}" if texts != [""] else f";{say(name)}"
        return "".join(f";{text}" if isinstance(value, dict) else f";{say(name)}={text}" for text in texts)
    return ",".join(texts)


def _flat(value: Any, joint: str) -> Sequence[tuple[Any, str, Any]]:
    if isinstance(value, list):
        return [(None, "", each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return [(key, joint, each) for key, each in cast("dict[str, Any]", value).items()]
    return [(None, "", value)]


def pairs(value: Any, name: str, style: str, *, explode: bool, reserved: bool = False) -> Sequence[tuple[str, str]]:
    """A value as what stands in a query, a form or a cookie: names and values, percent-encoded."""
    key = _quoted(name)
    if isinstance(value, list):
        texts = [_quoted(each, reserved=reserved) for each in cast("list[Any]", value)]
        if explode and style != "deepObject":
            return [(key, text) for text in texts]
        return [(key, _JOINTS.get(style, ",").join(texts))] if texts else []
    if isinstance(value, dict):
        fields = cast("Mapping[str, Any]", value).items()
        if style == "deepObject":
            return [pair for field, each in fields for pair in _deep(f"{name}[{field}]", each, reserved=reserved)]
        if explode:
            return [(_quoted(field), _quoted(each, reserved=reserved)) for field, each in fields]
        texts = [_quoted(each, reserved=reserved) for field in fields for each in field]
        return [(key, _JOINTS.get(style, ",").join(texts))] if texts else []
    return [(key, _quoted(value, reserved=reserved))]


def _deep(name: str, value: Any, *, reserved: bool) -> Sequence[tuple[str, str]]:
    """The specification knows one level; deeper ones are written as most servers read them."""
    if isinstance(value, dict):
        fields = cast("Mapping[str, Any]", value).items()
        return [pair for field, each in fields for pair in _deep(f"{name}[{field}]", each, reserved=reserved)]
    if isinstance(value, list):
        return [(_quoted(name), _quoted(each, reserved=reserved)) for each in cast("list[Any]", value)]
    return [(_quoted(name), _quoted(value, reserved=reserved))]
