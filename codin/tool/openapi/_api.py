"""The API behind a document: its address, and the requests that calls of tools become."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, urlencode
from uuid import uuid4

from pydantic_core import from_json, to_json

from codin.errors import (
    AddressRefused,
    CodinError,
    ConnectError,
    DeadlineExceeded,
    InvalidArguments,
    ResponseTooLarge,
    ToolFailed,
    ToolTimeout,
    TransportError,
)
from codin.net import AddressGuard, Response, Transport, open_transport
from codin.net._body import is_json
from codin.tool._protocol import ToolSpec
from codin.tool._redaction import Redaction
from codin.tool.openapi._auth import Auth, Keys
from codin.tool.openapi._operation import Body, Operation, Parameter, is_text
from codin.tool.openapi._styles import pairs, plain, scalar

__all__ = ["Api", "OpenApiTool"]

_SHOWN = 1000  # letters of an answer that is an error
_NOT_DONE = frozenset({408, 429, 503})  # the API did not act
_AGAIN = _NOT_DONE | {500, 502, 504}
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110 9.2.2


class Api:
    """Whom all tools of one document talk to.

    Args:
        limit: bytes of one answer.
    """

    def __init__(self, auth: Auth, guard: AddressGuard, *, timeout: float, limit: int) -> None:
        self.auth = auth
        self.timeout = timeout
        self._guard = guard
        self._limit = limit
        self._opened: dict[asyncio.AbstractEventLoop, AsyncGenerator[Transport]] = {}
        self._transports: dict[asyncio.AbstractEventLoop, Transport] = {}

    async def request(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Response:
        """Send one request; a redirect is an answer."""
        transport = await self._transport()
        return await transport.request(
            method, url, headers=headers, content=content, timeout=self.timeout, limit=self._limit
        )

    async def _transport(self) -> Transport:
        """One for each event loop, which closes it when it ends: it ends the generators that were begun on it."""
        loop = asyncio.get_running_loop()
        if loop not in self._transports:
            for closed in [each for each in self._opened if each.is_closed()]:
                self._opened.pop(closed)
                self._transports.pop(closed, None)
            held = self._opened[loop] = _held(self._guard)
            self._transports[loop] = await anext(held)
        return self._transports[loop]


async def _held(guard: AddressGuard) -> AsyncGenerator[Transport]:
    transport = open_transport(guard=guard)
    try:
        yield transport
    finally:
        await transport.aclose()


class OpenApiTool:
    """One operation of an API as a tool.

    Attributes:
        method: of HTTP.
        url: with the parameters of the path in braces.
    """

    def __init__(
        self, name: str, operation: Operation, server: str, api: Api, schemes: Sequence[str], scopes: Sequence[str]
    ) -> None:
        self.name: str = name
        self.method: str = operation.method
        self.url: str = server + operation.path
        self.spec: ToolSpec = ToolSpec(
            operation.description,
            operation.input_schema,
            operation.result,
            tags=operation.tags,
            scopes=scopes,
            idempotent=operation.method in _IDEMPOTENT,
            timeout=api.timeout,
        )
        self._operation = operation
        self._server = server
        self._api = api
        self._schemes = schemes

    def __repr__(self) -> str:
        return f"<OpenApiTool {self.name!r}: {self.method} {self.url}>"

    async def invoke(self, /, **arguments: Any) -> Any:
        """Call the operation. JSON is given as it is, text as text, and anything else as base64.

        Raises:
            InvalidArguments: an argument cannot stand where it belongs.
            ToolFailed: the API could not be reached, or answered with an error, which is told.
        """
        keys = Keys()
        try:
            keys = await self._api.auth.keys(self._schemes, self._server)
            url, headers, content = _Request(self, keys, arguments).built()
            answer = await self._api.request(self.method, url, headers, content)
        except CodinError as error:
            # Its own words may have the URL, and so a key.
            if isinstance(error, InvalidArguments):
                raise
            if isinstance(error, DeadlineExceeded):
                told = f"{self.name!r} took longer than {self._api.timeout:g} s"
                raise ToolTimeout(told, tool=self.name, retryable=self.spec.idempotent) from None
            told = f"{self.name!r} failed: {_reason(error)}"
            raise ToolFailed(told, tool=self.name, retryable=self._may(error)) from None
        return self._result(answer, keys, arguments)

    @cached_property
    def _redaction(self) -> Redaction:
        return Redaction(self.spec.input_schema, self.spec.secrets)

    def _result(self, answer: Response, keys: Keys, arguments: Mapping[str, Any]) -> Any:
        kind = answer.headers.get("content-type", "")
        if not 200 <= answer.status < 300:
            raise self._refused(answer, kind, keys, arguments)
        if not answer.body:
            return None
        if is_json(kind):
            try:
                return from_json(answer.body)
            except ValueError:
                raise ToolFailed(f"{self.name!r} failed: the API answered with broken JSON", tool=self.name) from None
        return answer.body.decode(errors="replace") if is_text(kind) else base64.b64encode(answer.body).decode()

    def _refused(self, answer: Response, kind: str, keys: Keys, arguments: Mapping[str, Any]) -> ToolFailed:
        status = answer.status
        words = f"{status} {HTTPStatus(status).phrase}" if status in _KNOWN else str(status)
        if 300 <= status < 400:
            said = "a redirect, which is not followed"
        else:
            said = answer.body.decode(errors="replace") if is_json(kind) or is_text(kind) else ""
            said = self._redaction.clean(keys.clean(said), arguments)  # all of it: half a secret would not be found
            said = " ".join(said.split())[:_SHOWN]
        after = answer.headers.get("retry-after", "")
        hint = f"call it again in {after} s" if after.isdecimal() and len(after) < 6 else None
        text = f"{self.name!r} failed: the API answered {words}" + (f": {said}" if said else "")
        again = status in (_AGAIN if self.spec.idempotent else _NOT_DONE)
        return ToolFailed(text, tool=self.name, retryable=again, hint=hint)

    def _may(self, error: CodinError) -> bool:
        """Whether it may be called again: what may have acted once is not to act twice."""
        passes = isinstance(error, TransportError) and not isinstance(error, (AddressRefused, ResponseTooLarge))
        return passes and (self.spec.idempotent or isinstance(error, ConnectError))

    # -- what a request is made of -------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Sequence[Parameter]:
        """What it takes beside a body."""
        return self._operation.parameters

    @property
    def body(self) -> Body | None:
        """The body that it takes."""
        return self._operation.body


_KNOWN = frozenset(int(status) for status in HTTPStatus)


def _reason(error: CodinError) -> str:
    if isinstance(error, AddressRefused):
        return "the address of the API is not allowed here"
    if isinstance(error, ConnectError):
        return "the API could not be reached"
    if isinstance(error, ResponseTooLarge):
        return "the answer is too large; ask for less of it"
    if isinstance(error, TransportError):
        return "the connection was lost, and nobody knows whether the API acted"
    return "there is no token for the API"


class _Request:
    """The arguments of one call as a request."""

    def __init__(self, tool: OpenApiTool, keys: Keys, arguments: Mapping[str, Any]) -> None:
        self._tool = tool
        self._keys = keys
        self._given = arguments
        self._path = tool.url
        self._query = [(quote(name, safe=""), quote(value, safe="")) for name, value in keys.query]
        self._cookies = [(name, quote(value, safe="")) for name, value in keys.cookies]
        self._headers: dict[str, str] = {"Accept": "application/json, text/*;q=0.9, */*;q=0.5"}

    def built(self) -> tuple[str, Mapping[str, str], bytes]:
        """The URL, the headers and the body. Raises InvalidArguments."""
        for parameter in self._tool.parameters:
            if parameter.argument in self._given:
                self._put(parameter, self._given[parameter.argument])
        content = self._content()
        if self._cookies:
            self._headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies)
        own = {name.lower() for name in self._keys.headers}
        headers = {name: value for name, value in self._headers.items() if name.lower() not in own}
        query = "&".join(f"{name}={value}" for name, value in self._query)
        return self._path + (f"?{query}" if query else ""), {**headers, **self._keys.headers}, content

    def _put(self, parameter: Parameter, value: Any) -> None:
        value = to_json(value).decode() if parameter.as_json else value
        name, style, explode = parameter.name, parameter.style, parameter.explode
        match parameter.place:
            case "path":
                text = plain(value, name, style, explode=explode, quoted=True)
                if text in ("", ".", ".."):  # it would be another path
                    raise self._unfit(parameter.argument, "this cannot stand in a path")
                self._path = self._path.replace(f"{{{name}}}", text)
            case "query":
                self._query += pairs(value, name, style, explode=explode, reserved=parameter.reserved)
            case "header":
                text = plain(value, name, style, explode=explode, quoted=False)
                if not text.isascii() or not text.isprintable():
                    raise self._unfit(parameter.argument, "a header has printable ASCII only")
                self._headers[name] = text
            case _:
                self._cookies += pairs(value, name, style, explode=explode)

    def _content(self) -> bytes:
        body = self._tool.body
        if body is None or body.argument not in self._given:
            return b""
        value: Any = self._given[body.argument]
        kind = body.media_type.partition(";")[0].strip().lower()
        self._headers["Content-Type"] = body.media_type
        if is_json(kind):
            return to_json(value)
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            if not isinstance(value, dict):
                raise self._unfit(body.argument, "a form is an object")
            fields = cast("dict[str, Any]", value)
            if kind == "application/x-www-form-urlencoded":
                return urlencode(_fields(fields)).encode()
            boundary = uuid4().hex
            self._headers["Content-Type"] = f"{kind}; boundary={boundary}"
            return self._multipart(fields, body, boundary)
        if is_text(kind):
            return scalar(value).encode()
        return self._decoded(value, body.argument)

    def _multipart(self, fields: Mapping[str, Any], body: Body, boundary: str) -> bytes:
        lines: list[bytes] = []
        definitions: Mapping[str, Any] = body.schema.get("$defs", {})
        known: dict[str, Any] = {}
        for each in _parts(body.schema, definitions):
            known |= each.get("properties", {})
        for name, value in _fields(fields):
            said = quote(name, safe=" !#$&'()*+,/:;<=>?@[]^`{|}~")  # no quote, no line break
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{said}"'
            if any(map(_is_file, _parts(known.get(name, {}), definitions))):
                head += f'; filename="{said}"\r\nContent-Type: application/octet-stream'
                content = self._decoded(value, f"{body.argument}.{name}")
            else:
                content = value.encode()
            lines += [f"{head}\r\n\r\n".encode(), content, b"\r\n"]
        return b"".join([*lines, f"--{boundary}--\r\n".encode()])

    def _decoded(self, value: Any, argument: str) -> bytes:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise self._unfit(argument, "bytes are given as base64") from None

    def _unfit(self, argument: str, why: str) -> InvalidArguments:
        name = self._tool.name
        return InvalidArguments(f"the arguments of {name!r} do not fit: {argument}: {why}", tool=name, field=argument)


def _parts(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema, with what it refers to, what it is put together from, and what its items are."""
    waiting, met = [schema], set[str]()
    while waiting:
        each = waiting.pop()
        yield each
        for joint in ("allOf", "anyOf", "oneOf"):
            waiting += each.get(joint, ())
        if "items" in each:
            waiting.append(each["items"])
        if "$ref" in each and each["$ref"] not in met:
            met.add(each["$ref"])
            waiting.append(definitions[each["$ref"].removeprefix("#/$defs/")])


def _is_file(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("contentMediaType", "text/plain")
    encoded = schema.get("format") == "binary" or schema.get("contentEncoding") == "base64"
    return encoded or not (is_json(kind) or is_text(kind))


def _fields(value: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """The fields of a form: of a list one for each item, of an object as JSON."""
    return [
        (name, to_json(each).decode() if isinstance(each, dict) else scalar(each))
        for name, given in value.items()
        for each in (cast("list[Any]", given) if isinstance(given, list) else [given])
    ]
