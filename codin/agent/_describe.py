"""What the card says of a function: from its name, its docstring and its types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import TypeAdapter

from codin.agent._bind import Inputs
from codin.tool._describe import annotate, parameter_docs, schema_of
from codin.tool._hints import Hint, Kind, is_union, read_hint

__all__ = ["id_of", "input_modes", "input_schema", "output_modes", "output_schema"]

TEXT, JSON, BYTES = "text/plain", "application/json", "application/octet-stream"


def id_of(name: str) -> str:
    """A name as a segment of a URL."""
    return re.sub(r"[^a-z0-9._~-]+", "-", name.lower()).strip("-.")


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
    schema = schema_of(inputs.schema, "validation")
    if schema is not None and inputs.fields:
        schema["title"] = name
        properties = cast("dict[str, dict[str, Any]]", schema["properties"])
        docs = parameter_docs(doc)
        for field in inputs.fields:
            annotate(properties[field.name], field, docs.get(field.name))
    return schema


def output_schema(returns: Hint | None) -> Mapping[str, Any] | None:
    """The JSON Schema of the data part a function answers with; None where it is text, files or unknown."""
    if returns is None or any(hint.kind not in (Kind.OBJECT, Kind.VALUE) for hint in _members(returns)):
        return None
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(returns.full)
    except Exception:
        return None
    return schema_of(adapter, "serialization")
