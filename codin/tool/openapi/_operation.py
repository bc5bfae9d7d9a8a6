"""One operation of a document: what it takes, what it sends, what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from codin.errors import DocumentRefused
from codin.net._body import is_json
from codin.tool.openapi._auth import TOKEN
from codin.tool.openapi._document import Document, child, object_at
from codin.tool.openapi._schema import Schemas

__all__ = ["METHODS", "Body", "Operation", "Parameter", "is_text", "read_operation"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
# What the request itself says, or the connection: no document has a say in it.
_OURS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_IN_TEMPLATE = re.compile(r"\{([^{}]*)\}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
_DESCRIBED = 2000  # letters of what a document says of an operation
_EMPTY = ("204", "205")
_ANYTHING = ("*/*", "application/*")
_BYTES = {"type": "string", "contentEncoding": "base64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. `argument` is what the tool calls it."""

    argument: str
    name: str
    place: str
    style: str
    explode: bool
    required: bool
    as_json: bool
    reserved: bool
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The body, of one of the media types that the operation takes."""

    argument: str
    media_type: str
    required: bool
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation. `own` is what the document has of it, at `place`."""

    method: str
    path: str
    place: str
    own: Mapping[str, Any] = field(repr=False)
    item: Mapping[str, Any] = field(repr=False)
    description: str
    tags: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    body: Body | None
    result: Mapping[str, Any] | None

    @property
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        takes: list[Parameter | Body] = [*self.parameters, *([self.body] if self.body else [])]
        fields: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        for each in takes:
            schema = dict(each.schema)
            definitions |= schema.pop("$defs", {})
            fields[each.argument] = schema
        required = [each.argument for each in takes if each.required]
        whole = {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
        return {**whole, "$defs": definitions} if definitions else whole


def is_text(media_type: str) -> bool:
    """Whether it is text for a model to read."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain.endswith(("/xml", "+xml", "/yaml", "/javascript"))


def read_operation(document: Document, schemas: Schemas, path: str, method: str, item: dict[str, Any]) -> Operation:
    """The operation at a path. Raises DocumentRefused, which names the place."""
    above = child("#/paths", path)
    place = child(above, method)
    own = object_at(item[method], place)
    if any(unquote(step) in (".", "..") for step in path.split("/")):
        raise DocumentRefused(f"the path {path[:200]!r} leads elsewhere", place=above, hint="write it without dots")
    reading = _Reading(document, schemas, path)
    parameters = reading.parameters([(item, above), (own, place)])
    words = [str(own.get(name) or "").strip() for name in ("summary", "description")]
    tags = own.get("tags")
    return Operation(
        method=method.upper(),
        path=path,
        place=place,
        own=own,
        item=item,
        description="\n".join(word for word in words if word)[:_DESCRIBED] or f"{method.upper()} {path}",
        tags=tuple(map(str, cast("list[Any]", tags))) if isinstance(tags, list) else (),
        parameters=tuple(parameters),
        body=reading.body(own, place),
        result=reading.result(own, place),
    )


class _Reading:
    """The reading of one operation, which knows the arguments that are taken."""

    def __init__(self, document: Document, schemas: Schemas, path: str) -> None:
        self._document = document
        self._schemas = schemas
        self._path = path
        self._taken: set[str] = set()

    def parameters(self, holders: list[tuple[dict[str, Any], str]]) -> Iterator[Parameter]:
        """Those of the path, and those of the operation, which count more."""
        found: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        for holder, place in holders:
            listed = holder.get("parameters", [])
            if not isinstance(listed, list):
                raise DocumentRefused("a list is expected here", place=child(place, "parameters"))
            for number, each in enumerate(cast("list[Any]", listed)):
                given, there = self._document.follow(each, child(child(place, "parameters"), number))
                found[str(given.get("name")), str(given.get("in"))] = given, there
        named = {name for name, where in found if where == "path"}
        missing = [name for name in _IN_TEMPLATE.findall(self._path) if name not in named]
        if missing or not self._path.startswith("/"):
            why = f"no parameter says what {missing[0]!r} is" if missing else "a path begins with a slash"
            raise DocumentRefused(why, place=holders[-1][1])
        for (name, where), (given, place) in found.items():
            if where not in _STYLES:
                raise DocumentRefused(f"there are no parameters in {where[:40]!r}", place=child(place, "in"))
            if where == "header" and name.lower() in _OURS:
                continue  # OpenAPI 3.1, 4.8.12.2.1: ignored
            if where in ("header", "cookie") and not TOKEN.fullmatch(name):
                raise DocumentRefused(f"{name[:100]!r} is no name of a {where}", place=child(place, "name"))
            yield self._parameter(given, place, name, where)

    def _parameter(self, given: dict[str, Any], place: str, name: str, where: str) -> Parameter:
        style = given.get("style", _STYLES[where][0])
        if style not in _STYLES[where]:
            raise DocumentRefused(f"a {where} has no style {str(style)[:40]!r}", place=child(place, "style"))
        content = object_at(given.get("content", {}), child(place, "content"))
        media_type = next(iter(content), "")
        holder, there = (
            self._document.follow(content[media_type], child(child(place, "content"), media_type))
            if content
            else (given, place)
        )
        schema = self._schemas.read(holder.get("schema", {}), child(there, "schema"), "input")
        if isinstance(words := given.get("description"), str) and "$ref" not in schema:
            schema["description"] = words
        return Parameter(
            argument=self._argument(name, where),
            name=name,
            place=where,
            style=style,
            explode=given.get("explode", style in ("form", "deepObject")) is True,
            required=where == "path" or given.get("required") is True,
            as_json=is_json(media_type),
            reserved=given.get("allowReserved") is True,
            schema=schema,
        )

    def _argument(self, name: str, where: str) -> str:
        """A name that models can write; with its place, where another parameter has it."""
        plain = _NOT_IN_NAMES.sub("_", name).strip("_")[:50] or where
        argument, number = plain, 2
        while argument in self._taken:
            argument = f"{plain}_{where}" if number == 2 else f"{plain}_{where}_{number - 1}"
            number += 1
        self._taken.add(argument)
        return argument

    def body(self, own: dict[str, Any], place: str) -> Body | None:
        """The body that is sent: JSON, where the operation takes it."""
        if "requestBody" not in own:
            return None
        given, place = self._document.follow(own["requestBody"], child(place, "requestBody"))
        content = object_at(given.get("content", {}), child(place, "content"))
        if not content:
            return None
        media_type = min(content, key=_rank)
        there = child(child(place, "content"), media_type)
        holder, there = self._document.follow(content[media_type], there)
        if media_type in _ANYTHING and self._is_value(holder.get("schema"), child(there, "schema")):
            media_type = "application/json"
        if _rank(media_type) < 3:
            schema = self._schemas.read(holder.get("schema", {}), child(there, "schema"), "input")
        else:
            schema = {"type": "string"} if is_text(media_type) else dict(_BYTES)
        if isinstance(words := given.get("description"), str) and "$ref" not in schema:
            schema["description"] = words
        argument = self._argument("body", "content")
        sent = "application/octet-stream" if "*" in media_type else media_type
        return Body(argument=argument, media_type=sent, required=given.get("required") is True, schema=schema)

    def _is_value(self, schema: Any, place: str) -> bool:
        """Whether a schema tells of more than of text or bytes."""
        if not isinstance(schema, dict):
            return False
        said, _ = self._document.follow(cast("dict[str, Any]", schema), place)
        return bool(said) and said.get("type") != "string"

    def result(self, own: dict[str, Any], place: str) -> Mapping[str, Any] | None:
        """Whatever a success answers; None where that cannot be said."""
        place = child(place, "responses")
        answers = object_at(own.get("responses", {}), place)
        good = [status for status in answers if status.startswith("2")]
        found: list[dict[str, Any]] = []
        for status in good:
            given, there = self._document.follow(answers[status], child(place, status))
            content = object_at(given.get("content", {}), child(there, "content"))
            for media_type, held in content.items():
                schema = self._answered(media_type, held, child(child(there, "content"), media_type))
                if schema is None:
                    return None
                found.append(schema)
            if status in _EMPTY:
                found.append({"type": "null"})
            elif not content:
                return None  # very many documents leave out what they answer
        different = [schema for number, schema in enumerate(found) if schema not in found[:number]]
        if len(different) < 2:
            return different[0] if different else None
        definitions: dict[str, Any] = {}
        for schema in different:
            definitions |= schema.pop("$defs", {})
        return {"anyOf": different, **({"$defs": definitions} if definitions else {})}

    def _answered(self, media_type: str, held: Any, place: str) -> dict[str, Any] | None:
        if not is_json(media_type):
            return {"type": "string"} if "*" not in media_type else None
        holder, place = self._document.follow(held, place)
        try:
            return dict(self._schemas.read(holder.get("schema", {}), child(place, "schema"), "output"))
        except DocumentRefused:
            return None  # what cannot be checked is given as it comes


def _rank(media_type: str) -> int:
    plain = media_type.partition(";")[0].strip().lower()
    known = ("application/x-www-form-urlencoded", "multipart/form-data")
    return 0 if is_json(plain) else 1 + known.index(plain) if plain in known else 3 if is_text(plain) else 4
