"""What a function tells about itself: from its name, its docstring and its types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from codin.agent._bind import Inputs
from codin.agent._hints import Hint, Kind, is_union, read_hint
from codin.agent._signature import Parameter
from codin.errors import ConfigError

__all__ = ["doc_of", "id_of", "input_modes", "input_schema", "name_of", "output_modes", "output_schema", "summary_of"]

TEXT, JSON, BYTES = "text/plain", "application/json", "application/octet-stream"


def name_of(function: Callable[..., Any]) -> str:
    """The function's own name. Raises ConfigError for a lambda, which has none."""
    inner: Any = function
    while not hasattr(inner, "__name__") and hasattr(inner, "func"):
        inner = inner.func
    name: str = getattr(inner, "__name__", type(inner).__name__)
    if name == "<lambda>":
        raise ConfigError("a lambda has no name", hint="pass name=")
    return name


def id_of(name: str) -> str:
    """A name as a segment of a URL."""
    return re.sub(r"[^a-z0-9._~-]+", "-", name.lower()).strip("-.")


def doc_of(function: Callable[..., Any]) -> str:
    """The docstring of a function, or of what a partial or an object calls."""
    inner: Any = function
    while hasattr(inner, "func") and not inspect.isroutine(inner):
        inner = inner.func
    if inspect.isroutine(inner):
        return inspect.getdoc(inner) or ""
    # not `getdoc` of the method, which would find Python's own words for being called
    return inspect.cleandoc(inner.__call__.__doc__ or inner.__class__.__doc__ or "")


def summary_of(doc: str) -> str:
    """The first paragraph on one line."""
    return " ".join(doc.partition("\n\n")[0].split())


_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):[ ]*\n((?:[ \t]+.*\n?|[ \t]*\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+)(?:[ ]*\([^)]*\))?:[ ]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)


def _parameter_docs(doc: str) -> Mapping[str, str]:
    """What the `Args:` section says about each parameter."""
    section = _SECTION.search(doc)
    if section is None:
        return {}
    return {name: " ".join(text.split()) for name, text in _ENTRY.findall(inspect.cleandoc("\n" + section[1]))}


def input_modes(inputs: Inputs) -> Sequence[str]:
    """The media types a function reads, the one it prefers first."""
    modes: list[str] = []
    if inputs.fields or inputs.whole is not None:
        modes.append(JSON)
    if inputs.text is not None:
        modes.insert(0, TEXT)
    elif inputs.first is not None or (inputs.whole is not None and inputs.whole.hint.kind is Kind.ANY):
        modes.append(TEXT)
    for file in inputs.files:
        modes += [media.type for media in file.hint.media] or [BYTES]
    return list(dict.fromkeys(modes or [TEXT]))


_MODES: Mapping[Kind, Sequence[str]] = {
    Kind.TEXT: [TEXT], Kind.NONE: [TEXT], Kind.BYTES: [BYTES], Kind.MANY_BYTES: [BYTES],
    Kind.OBJECT: [JSON], Kind.VALUE: [JSON],
}  # fmt: skip


def output_modes(returns: Hint | None) -> Sequence[str]:
    """The media types a function answers with; text and JSON where its hint does not say."""
    if returns is None:
        return [TEXT, JSON]
    if returns.media:
        return [media.type for media in returns.media]
    modes: list[str] = []
    for hint in _members(returns):
        modes += [media.type for media in hint.media] or _MODES.get(hint.kind, [TEXT, JSON])
    return list(dict.fromkeys(modes))


def _members(hint: Hint) -> Sequence[Hint]:
    """The types of a union; else the one there is."""
    return [read_hint(member) for member in get_args(hint.core)] if is_union(hint.core) else [hint]


def input_schema(inputs: Inputs, name: str, doc: str) -> Mapping[str, Any] | None:
    """The JSON Schema of the data part, with the descriptions and defaults of parameters. None where there is none."""
    if inputs.schema is None:
        return None
    schema = _schema_of(inputs.schema, "validation")
    if schema is not None and inputs.fields:
        schema["title"] = name
        properties = cast("dict[str, dict[str, Any]]", schema["properties"])
        docs = _parameter_docs(doc)
        for field in inputs.fields:
            _annotate(properties[field.name], field, docs.get(field.name))
    return schema


def _annotate(schema: dict[str, Any], field: Parameter, doc: str | None) -> None:
    if doc:
        schema.setdefault("description", doc)
    if field.has_default:
        try:
            schema.setdefault("default", to_jsonable_python(field.default, by_alias=True))
        except ValueError:  # a default that is no JSON stays Python's
            return


def output_schema(returns: Hint | None) -> Mapping[str, Any] | None:
    """The JSON Schema of the data part a function answers with; None where it is text, files or unknown."""
    if returns is None or any(hint.kind not in (Kind.OBJECT, Kind.VALUE) for hint in _members(returns)):
        return None
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(returns.full)
    except Exception:
        return None
    return _schema_of(adapter, "serialization")


def _schema_of(adapter: TypeAdapter[Any], mode: Any) -> dict[str, Any] | None:
    """A schema is a courtesy: a type that has none is served all the same."""
    try:
        return adapter.json_schema(mode=mode)
    except Exception:
        return None
