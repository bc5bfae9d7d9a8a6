"""What a function tells about itself: from its name, its docstring and its types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from codin.errors import ConfigError
from codin.tool._signature import Parameter

__all__ = ["annotate", "doc_of", "name_of", "parameter_docs", "schema_of", "summary_of"]


def name_of(function: Callable[..., Any]) -> str:
    """The function's own name. Raises ConfigError for a lambda, which has none."""
    inner: Any = function
    while not hasattr(inner, "__name__") and hasattr(inner, "func"):
        inner = inner.func
    name: str = getattr(inner, "__name__", type(inner).__name__)
    if name == "<lambda>":
        raise ConfigError("a lambda has no name", hint="pass name=")
    return name


def doc_of(function: Callable[..., Any]) -> str:
    """The docstring of a function, or of what a partial or an object calls."""
    inner: Any = function
    while hasattr(inner, "func") and not inspect.isroutine(inner):
        inner = inner.func
    if inspect.isroutine(inner):
        return inspect.getdoc(inner) or ""
    # not `getdoc` of the method, which would find Python's own words for being called
    return inspect.cleandoc(inner.__call__.__doc__ or inner.__class__.__doc__ or "")


_FIELDS = re.compile(r"^:(?:param|parameter|arg|argument|key|keyword|type|returns?|rtype|raises?)\b.*:", re.MULTILINE)


def summary_of(doc: str) -> str:
    """The first paragraph on one line, up to what it says of parameters and results."""
    return " ".join(_FIELDS.split(doc.partition("\n\n")[0], 1)[0].split())


_MORE = r"((?:[ \t]+.*\n?|[ \t]*\n)*)"  # the lines that are indented under one
_SECTION = re.compile(rf"^(?:Args|Arguments|Parameters):[ ]*\n{_MORE}", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+)(?:[ ]*\([^)]*\))?:[ ]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_RULED = re.compile(r"^(?:Other )?Parameters[ ]*\n-{3,}[ ]*\n((?:(?!.*\n-{3,}[ ]*$).*\n?)*)", re.MULTILINE)
_RULED_ENTRY = re.compile(rf"^(\w[\w, ]*?)[ ]*(?::.*)?\n{_MORE}", re.MULTILINE)
_FIELD = re.compile(
    r"^:(?:param|parameter|arg|argument|key|keyword)[ ]+(?:[^:\n]*[ ])?(\w+):[ ]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE
)


def parameter_docs(doc: str) -> Mapping[str, str]:
    """What a docstring says about each parameter, in the style of Google (`Args:`), NumPy or Sphinx (`:param x:`)."""
    found: list[tuple[str, str]] = _FIELD.findall(doc)
    for ruled in _RULED.findall(doc + "\n"):
        found += [(name, text) for names, text in _RULED_ENTRY.findall(ruled) for name in names.split(", ")]
    if (section := _SECTION.search(doc)) is not None:
        found += _ENTRY.findall(inspect.cleandoc("\n" + section[1]))
    return {name: " ".join(text.split()) for name, text in found}


def annotate(schema: dict[str, Any], field: Parameter, doc: str | None) -> None:
    """Add what the docstring and the default say of a parameter to its schema."""
    if doc:
        schema.setdefault("description", doc)
    if field.has_default:
        try:
            schema.setdefault("default", to_jsonable_python(field.default, by_alias=True))
        except ValueError:  # a default that is no JSON stays Python's
            return


def schema_of(adapter: TypeAdapter[Any], mode: Any) -> dict[str, Any] | None:
    """A schema is a courtesy: a type that has none is served all the same."""
    try:
        return adapter.json_schema(mode=mode)
    except Exception:
        return None
