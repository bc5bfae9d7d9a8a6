"""A document of a stranger: read, bounded, and its references followed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from codin.errors import ConfigError, DocumentRefused, ResponseTooLarge, TransportError
from codin.net import AddressGuard, open_transport
from codin.tool._pointer import pointed

__all__ = ["Document", "OpenApiLimits", "child", "object_at"]

_PATIENCE = 30.0  # seconds for the document
_CHAIN = 32  # references that lead to references
_YAML = "tag:yaml.org,2002:"
_NO_MERGE = "write its fields out, or use $ref: the YAML of OpenAPI has no merge keys"
_VERSION = re.compile(r"3\.([01])(\.\d+)?(-.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiLimits:
    """What is read of a document at most, each bound with its default.

    Attributes:
        bytes: of the document.
        nodes: values in it, and in what the aliases of YAML make of it.
        depth: of values in values.
        operations: how many.
        schema: values in the schema of one operation, with all that it refers to. A result of more is not checked.
    """

    bytes: int = 16 * 1024 * 1024
    nodes: int = 1_000_000
    depth: int = 100
    operations: int = 1_000
    schema: int = 10_000


class Document:
    """An OpenAPI document of version 3.0 or 3.1.

    Args:
        content: as JSON has it.
        url: where it was fetched.

    Raises:
        DocumentRefused: it is none, or larger than the limits.
    """

    def __init__(self, content: object, limits: OpenApiLimits, url: str | None = None) -> None:
        if not isinstance(content, Mapping):
            raise DocumentRefused("this is no OpenAPI document: it is no object", place="#")
        _Weight(limits).of(cast("object", content))
        self.root: dict[str, Any] = cast("dict[str, Any]", _plain(cast("object", content)))
        self.limits = limits
        self.url = url
        said = self.root.get("openapi")
        # YAML reads 3.1 as a number
        version = _VERSION.fullmatch(str(said)) if isinstance(said, (str, float)) else None
        if version is None:
            what = "Swagger 2.0" if self.root.get("swagger") else f"openapi: {str(said)[:40]!r}"
            raise DocumentRefused(
                f"this is {what}, and 3.0 and 3.1 are read", place="#/openapi", hint="convert it to OpenAPI 3"
            )
        self.is_3_0: bool = version[1] == "0"

    @classmethod
    def read(
        cls, source: Mapping[str, Any] | str | Path, limits: OpenApiLimits, guard: AddressGuard | None
    ) -> Document:
        """The document itself, or what is at a URL or in a file.

        Raises:
            ConfigError: it cannot be had.
            DocumentRefused: it is none, or larger than the limits.
        """
        if isinstance(source, Mapping):
            return cls(source, limits)
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            return cls(_parsed(_fetched(source, limits, guard), limits), limits, source)
        try:
            with Path(source).open("rb") as file:
                body = file.read(limits.bytes + 1)
        except OSError as error:
            raise ConfigError(f"{str(source)!r} cannot be read: {error.strerror}") from error
        if len(body) > limits.bytes:
            raise _too_long(limits)
        return cls(_parsed(body, limits), limits)

    def follow(self, value: Any, place: str) -> tuple[dict[str, Any], str]:
        """An object, or the one that it refers to, and where that is.

        Raises:
            DocumentRefused: there is none.
        """
        for _ in range(_CHAIN):
            found = object_at(value, place)
            if "$ref" not in found:
                return found, place
            target = self.target(found["$ref"], child(place, "$ref"))
            value, place = self.at(target, place), target
        raise DocumentRefused("the references here lead in a circle", place=place)

    def target(self, reference: Any, place: str) -> str:
        """The place inside of the document that a reference names.

        Raises:
            DocumentRefused: it leads elsewhere; nothing else is read.
        """
        if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
            return reference
        raise DocumentRefused(
            f"{str(reference)[:100]!r} leads out of the document, and nothing else is read",
            place=place,
            hint="bundle the document into one file",
        )

    def at(self, pointer: str, place: str) -> Any:
        """What is at a place. Raises DocumentRefused when nothing is."""
        try:
            return pointed(self.root, pointer)
        except LookupError:
            raise DocumentRefused(f"there is nothing at {pointer[:200]!r}", place=place) from None


def child(place: str, name: str | int) -> str:
    """The place of a member, as a JSON pointer."""
    return f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"


def object_at(value: Any, place: str) -> dict[str, Any]:
    """The value, if it is an object. Raises DocumentRefused, which names the place."""
    if not isinstance(value, dict):
        raise DocumentRefused(f"an object is expected here, and not {type(value).__name__!r}", place=place)
    return cast("dict[str, Any]", value)


def _fetched(url: str, limits: OpenApiLimits, guard: AddressGuard | None) -> bytes:
    async def fetch() -> bytes:
        transport = open_transport(guard=guard or AddressGuard(named_by=url))
        accept = {"Accept": "application/json, application/yaml;q=0.9, */*;q=0.5"}
        try:
            answer = await transport.request("GET", url, headers=accept, timeout=_PATIENCE, limit=limits.bytes)
        finally:
            await transport.aclose()
        if answer.status != 200:
            raise ConfigError(f"{url} answered HTTP {answer.status}, and with no document")
        return answer.body

    try:
        with ThreadPoolExecutor(1) as thread:  # an event loop may be running here
            return thread.submit(asyncio.run, fetch()).result()
    except ResponseTooLarge:
        raise _too_long(limits) from None
    except TransportError as error:
        raise ConfigError(f"the document could not be fetched: {error.message}", hint=error.hint) from error


def _too_long(limits: OpenApiLimits) -> DocumentRefused:
    return DocumentRefused(f"the document has more than {limits.bytes} bytes", place="#")


def _parsed(body: bytes, limits: OpenApiLimits) -> Any:
    try:
        return from_json(body)
    except ValueError:
        if body.lstrip()[:1] in (b"{", b"["):
            raise DocumentRefused("the document is no JSON that can be read", place="#") from None
    return _from_yaml(body, limits)


def _from_yaml(body: bytes, limits: OpenApiLimits) -> Any:
    try:
        import yaml as module
    except ImportError as error:
        raise ConfigError(
            "a document in YAML is read with PyYAML, which is missing", hint="pip install pyyaml"
        ) from error

    yaml = cast("Any", module)
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        """As JSON has values: 2024-01-01 and 12:30 are texts, and nothing is merged."""

        def flatten_mapping(self, node: Any) -> None:
            if any(key.tag == f"{_YAML}merge" for key, _ in node.value):  # a few lines of them make millions of fields
                line = node.start_mark.line + 1
                raise DocumentRefused(f"the document has a merge key, <<, near line {line}", place="#", hint=_NO_MERGE)

    Loader.yaml_implicit_resolvers = {
        first: [each for each in resolvers if each[0] != f"{_YAML}timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    for tag, made in ((f"{_YAML}int", base.construct_yaml_int), (f"{_YAML}float", base.construct_yaml_float)):
        Loader.add_constructor(tag, partial(_number, made))
    try:
        depth = 0
        for event in yaml.parse(body, base):  # what makes values of it has no bound of its own, and is written in C
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > limits.depth:
                raise DocumentRefused(
                    f"the document is more than {limits.depth} levels deep in line {event.start_mark.line + 1}",
                    place="#",
                )
        return yaml.load(body, Loader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise DocumentRefused(f"the document is neither JSON nor YAML: {str(error)[:200]}", place="#") from None


def _number(made: Callable[[Any, Any], Any], loader: Any, node: Any) -> Any:
    """YAML 1.1 counts 12:30 in sixties: another value, and slow where there are many of them."""
    return node.value if ":" in node.value else made(loader, node)


class _Weight:
    """Counts every value wherever it stands: what YAML says once and refers to often counts as often."""

    def __init__(self, limits: OpenApiLimits) -> None:
        self._limits = limits
        self._known: dict[int, tuple[int, int]] = {}
        self._path: list[Any] = []

    def of(self, value: object) -> tuple[int, int]:
        """How many values are in it, and on how many levels.

        Raises:
            DocumentRefused: more than the limits.
        """
        if id(value) in self._known:
            return self._checked(*self._known[id(value)])
        self._checked(0, 1)
        size, height = 0, 1
        for name, each in _members(value):
            size += 1
            if isinstance(each, (Mapping, list)):
                self._path.append(name)
                inner, levels = self.of(cast("object", each))
                self._path.pop()
                size, height = size + inner, max(height, levels + 1)
        self._known[id(value)] = size, height
        return self._checked(size, height)

    def _checked(self, size: int, height: int) -> tuple[int, int]:
        if size > self._limits.nodes:
            raise DocumentRefused(f"there are more than {self._limits.nodes} values here", place=self._place())
        if len(self._path) + height > self._limits.depth:
            raise DocumentRefused(f"the document is more than {self._limits.depth} levels deep", place=self._place())
        return size, height

    def _place(self) -> str:
        place = "#"
        for name in self._path:
            place = child(place, str(name)[:100])
        return place[:500]


def _members(value: object) -> Sequence[tuple[Any, object]]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[Any, object]", value).items())
    return list(enumerate(cast("list[object]", value)))


def _plain(value: object) -> object:
    """A copy of its own, whose keys are texts: YAML reads `200:` as a number."""
    if isinstance(value, Mapping):
        return {_key(name): _plain(each) for name, each in cast("Mapping[Any, object]", value).items()}
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    return value


def _key(name: Any) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)
