"""A document becomes tools."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from codin.errors import ConfigError, DocumentRefused
from codin.net import AddressGuard
from codin.tool.openapi._api import Api, OpenApiTool
from codin.tool.openapi._auth import Auth, Secret
from codin.tool.openapi._document import Document, OpenApiLimits, child, object_at
from codin.tool.openapi._operation import METHODS, Operation, read_operation
from codin.tool.openapi._schema import Schemas
from codin.trust import Credential

__all__ = ["openapi_tools"]

_LONGEST = 64  # letters of a name, as models take it
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_VARIABLE = re.compile(r"\{([^{}]+)\}")


def openapi_tools(
    document: Mapping[str, Any] | str | Path,
    *,
    base_url: str | None = None,
    auth: Credential | Mapping[str, Secret] | None = None,
    only: Collection[str] | None = None,
    guard: AddressGuard | None = None,
    scopes: Collection[str] = (),
    timeout: float = 30.0,
    max_answer: int = 1_048_576,
    limits: OpenApiLimits | None = None,
) -> Sequence[OpenApiTool]:
    """The operations of an HTTP API as tools.

    A URL is fetched now, while the caller waits. Requests go to the servers that the document names, and only where
    the guard allows it; redirects are not followed.

    Args:
        document: OpenAPI 3.0 or 3.1: itself, a URL, or a file, in JSON or (`pip install pyyaml`) YAML.
        base_url: where the API is, in place of what the document says.
        auth: for every request, e.g. `codin.trust.Token("…")`; or by the names that the document gives its security
            schemes: a key or token, a name with its password, or a `Credential`.
        only: names of operations (`listPets`, `GET /pets`) and tags. All operations without it.
        guard: which addresses may be called. By default those in the internet, and the host of `base_url` or of the
            document's URL wherever it is.
        scopes: what a caller needs for these tools.
        timeout: seconds for one call.
        max_answer: bytes of one answer.

    Raises:
        ConfigError: the document cannot be had, or something given here does not fit it.
        DocumentRefused: it cannot be read, or is larger than the limits; the text names the place.

    Example:
        tools = openapi_tools("https://petstore3.swagger.io/api/v3/openapi.json", only=["pet"])
    """
    if base_url is not None and not _is_plain(base_url):
        raise ConfigError(
            "base_url= is no plain http(s) URL, with nothing behind its path", hint="such as 'https://api.example/v1'"
        )
    read = Document.read(document, limits or OpenApiLimits(), guard)
    secrets = Auth(read, auth)
    named_by = base_url or read.url
    api = Api(
        secrets,
        guard or (AddressGuard(named_by=named_by) if named_by else AddressGuard()),
        timeout=timeout,
        limit=max_answer,
    )
    names = _Names()
    tools: list[OpenApiTool] = []
    for operation in _chosen(read, only):
        server = _server(read, operation, base_url)
        if secrets and base_url is None and read.url is not None and _origin(server) != _origin(read.url):
            raise ConfigError(
                f"the document of {_origin(read.url)} names {_origin(server)}, which would be given the secrets",
                hint=f"say base_url={server!r} if that is meant",
            )
        schemes = secrets.chosen(read, operation.own, operation.place)
        tools.append(OpenApiTool(names.of(operation), operation, server, api, schemes, list(scopes)))
    return tools


def _chosen(document: Document, only: Collection[str] | None) -> Iterator[Operation]:
    wanted = {only} if isinstance(only, str) else None if only is None else set(only)
    schemas = Schemas(document)
    met: set[str] = set()
    for path, method, item in _listed(document):
        own = object_at(item[method], child(child("#/paths", path), method))
        tags: Any = own.get("tags")
        known = {str(own.get("operationId")), f"{method.upper()} {path}"}
        known |= set(map(str, cast("list[Any]", tags))) if isinstance(tags, list) else set()
        met |= known
        if wanted is not None and not wanted & known:
            continue
        try:
            operation = _bounded(read_operation(document, schemas, path, method, item))
        except DocumentRefused as error:
            name = str(own.get("operationId") or f"{method.upper()} {path}")[:100]
            error.hint = error.hint or f"to leave {name!r} out, give the names or tags of the others by only=[…]"
            raise
        yield operation
    for unknown in sorted((wanted or set()) - met):
        near = difflib.get_close_matches(unknown, met, 3)
        raise ConfigError(
            f"the document has no operation or tag {unknown!r}",
            hint=f"did you mean {' or '.join(map(repr, near))}?" if near else None,
        )


def _listed(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    count = 0
    for path, given in object_at(document.root.get("paths", {}), "#/paths").items():
        place = child("#/paths", path)
        item, _ = document.follow(given, place)
        for method in METHODS:
            if method not in item:
                continue
            count += 1
            if count > document.limits.operations:
                raise DocumentRefused(
                    f"the document has more than {document.limits.operations} operations",
                    place=place,
                    hint="raise OpenApiLimits.operations",
                )
            yield path, method, item


class _Names:
    """Names for tools, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, operation: Operation) -> str:
        """The operation's id, or else its method and path."""
        said = operation.own.get("operationId")
        text = said if isinstance(said, str) and said else f"{operation.method.lower()} {operation.path}"
        plain = _NOT_IN_NAMES.sub("_", text).strip("_")[:_LONGEST] or operation.method.lower()
        name, number = plain, 2
        while name in self._taken:
            name, number = f"{plain[: _LONGEST - 4]}_{number}", number + 1
        self._taken.add(name)
        return name


def _server(document: Document, operation: Operation, base_url: str | None) -> str:
    """Where an operation is, without a slash at the end."""
    if base_url is not None:
        return base_url.rstrip("/")
    place, listed = "#/servers", document.root.get("servers")
    for holder, where in ((operation.item, child("#/paths", operation.path)), (operation.own, operation.place)):
        if holder.get("servers"):
            place, listed = child(where, "servers"), holder["servers"]
    first: Any = cast("list[Any]", listed)[0] if isinstance(listed, list) and listed else {"url": "/"}
    server = object_at(first, place)
    variables = object_at(server.get("variables", {}), child(place, "0/variables"))

    def value(found: re.Match[str]) -> str:
        told = object_at(variables.get(found[1], {}), place)
        if "default" not in told:
            raise DocumentRefused(f"nothing says what {found[1][:100]!r} is", place=place, hint="give base_url=")
        return str(told["default"])

    url = _VARIABLE.sub(value, str(server.get("url", "")))
    if document.url is not None:
        url = urljoin(document.url, url)
    elif "://" not in url:
        raise ConfigError("the document does not say where the API is", hint="give base_url=")
    return _checked(url, place)


def _checked(url: str, place: str) -> str:
    if not _is_plain(url):
        raise DocumentRefused("the address of an API is a plain http(s) URL, with nothing behind its path", place=place)
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(fits) and not (parts.query or parts.fragment or parts.username is not None) and url.isprintable()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _bounded(operation: Operation) -> Operation:
    """The operation, whose arguments are few enough to be checked; a result of too many values is given as it comes."""
    from codin.tool._json_keywords import is_large  # which loads the validator

    if is_large(operation.input_schema):
        raise DocumentRefused("what it takes has a schema that is too large", place=operation.place)
    return replace(operation, result=None) if is_large(operation.result) else operation
