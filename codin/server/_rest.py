"""The HTTP+JSON binding. Spec 11."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from codin import a2a
from codin.server._endpoint import Endpoint
from codin.server._guarded import guarded
from codin.server._http import JSON, Headers, answer, declares, not_taken, read_body
from codin.server._limits import ServerLimits
from codin.server._observer import Seen
from codin.server._operations import STREAMS, Operations, echo
from codin.server._refusal import refusal_fields
from codin.server._rest_resources import Resource
from codin.server._stream import EventStream, Streams
from codin.task import Subscription
from codin.trust import ANONYMOUS, Caller

__all__ = ["Rest"]

_A2A_JSON = (b"content-type", b"application/a2a+json")
_PRIVATE = ((b"cache-control", b"private, no-store"),)  # what a caller may see is for nobody's cache
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_MEDIA_TYPES = frozenset({b"application/a2a+json", b"application/json"})
_FLAGS = frozenset({"includeArtifacts"})
_BOOLEANS = {"true": True, "false": False}


class Rest:
    """Answers requests for resources.

    Args:
        written: the body of an answer that is an error.
        echoed: the headers of any other answer that say what of the request's is in use.
    """

    def __init__(
        self,
        operations: Operations,
        limits: ServerLimits,
        streams: Streams,
        *,
        written: Callable[[a2a.A2AError], bytes] = a2a.status_bytes,
        echoed: Callable[[Endpoint, Headers], list[tuple[bytes, bytes]]] = echo,
    ) -> None:
        self.written = written
        self.echoed = echoed
        self.operations = operations
        self.limits = limits
        self.streams = streams

    def request(self, resource: Resource, scope: Scope) -> RestRequest:
        """One request for a resource."""
        return RestRequest(self, resource, scope["method"], scope["query_string"])


class RestRequest:
    """One request for a resource. A HEAD is a GET whose body nobody wants."""

    system = "http_json"
    """The kind of RPC, for traces."""

    __slots__ = ("_fields", "_head", "_method", "_operations", "_query", "_rest", "_verb")

    def __init__(self, rest: Rest, resource: Resource, verb: str, query: bytes) -> None:
        self._rest = rest
        self._operations = resource.operations
        self._fields = resource.fields
        self._query = query
        self._verb = verb
        self._head = verb == "HEAD"
        method = resource.operations.get("GET" if self._head else verb)
        self._method = None if self._head and method in STREAMS else method

    async def respond(
        self,
        endpoint: Endpoint,
        headers: Headers,
        receive: Receive,
        send: Send,
        seen: Seen | None = None,
        *,
        caller: Caller | None = None,
    ) -> None:
        """Answer, and note in `seen` what it was. The caller is found out unless it is known already."""
        try:
            if self._method is None:
                raise self._nothing_to_do()
            if seen is not None:
                seen.method = self._method
            body = await self._body(headers, receive) if self._verb == "POST" else b""
            if caller is None:
                caller = ANONYMOUS if endpoint.admission is None else await endpoint.admission.caller(headers)
            params = self._params(self._method, body)
            payload = await self._rest.operations.run(endpoint, caller, headers, self._method, params)
            told = self._rest.echoed(endpoint, headers)
            if isinstance(payload, Subscription):
                await EventStream(self._rest.streams, payload, told).respond(receive, send)
            elif self._method in STREAMS:
                await answer(send, a2a.sse_event(payload), headers=[_EVENTS, *told])
            else:
                kept = () if self._verb == "POST" else _PRIVATE
                await answer(send, payload, headers=[_media_type(headers), *kept, *told], head=self._head)
        except ConnectionResetError:
            return  # the client went away before it had said what it wanted
        except Exception as error:
            refusal = guarded(error)
            if seen is not None:
                seen.error = refusal
            await self._refuse(send, refusal, headers)

    def _nothing_to_do(self) -> a2a.MethodNotFound:
        _, colon, operation = self._fields.get("id", "").rpartition(":")
        if self._verb == "POST" and colon and self._operations.get("GET") == "GetTask":
            words = f"there is no operation {operation[:100]!r} on a task"
            return a2a.MethodNotFound(words, hint="there are cancel and subscribe; a colon in an id is written %3A")
        return _NoSuchVerb(self._operations)

    async def _refuse(self, send: Send, error: a2a.A2AError, headers: Headers) -> None:
        fields = [_media_type(headers), *refusal_fields(error, error.http_status)]
        if isinstance(error, _NoSuchVerb):
            fields.append((b"allow", error.allowed))
        await answer(send, self._rest.written(error), status=error.http_status, headers=fields, head=self._head)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        body = await read_body(receive, headers, self._rest.limits.max_body)
        if body and not declares(headers, _MEDIA_TYPES):
            raise not_taken(headers, "application/a2a+json", "application/json")
        return body

    def _params(self, method: str, body: bytes) -> dict[str, Any]:
        """The JSON of the request object. What the path tells of it counts, whatever else does."""
        said = _document(body, self._rest.limits) if self._verb == "POST" else _query_fields(method, self._query)
        told = self._fields
        if "tenant" in told and said.get("tenant") not in (None, "", told["tenant"]):
            raise a2a.InvalidParams.of("tenant", f"is another one than {told['tenant']!r}, which the path names")
        return {**said, **told} if told else said


def _document(body: bytes, limits: ServerLimits) -> dict[str, Any]:
    if not body:
        return {}
    document = a2a.parse_json(body, limits.max_depth, limits.max_values)
    if type(document) is not dict:
        raise a2a.InvalidRequest("Invalid request: not an object", hint="Send the request as one JSON object.")
    return cast("dict[str, Any]", document)


def _query_fields(method: str, query: bytes) -> dict[str, Any]:
    """The fields that a query tells; what is no field of the request is ignored. Spec 11.5."""
    said: dict[str, Any] = {}
    if not query:
        return said
    known = _known_fields(method)
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            continue
        if name in said:
            raise a2a.InvalidParams.of(name, "is given more than once")
        said[name] = _BOOLEANS.get(value, value) if name in _FLAGS else value
    return said


@cache
def _known_fields(method: str) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in a2a.METHODS[method].model_fields.items())


def _media_type(headers: Headers) -> tuple[bytes, bytes]:
    """Plain JSON for a client that knows nothing else: it asks for that alone, or sends it and asks for nothing."""
    accepted = headers.get(b"accept", b"").lower()
    if b"application/a2a+json" in accepted:
        return _A2A_JSON
    if b"application/json" in accepted:
        return JSON
    return JSON if headers.get(b"content-type", b"").lower().startswith(b"application/json") else _A2A_JSON


class _NoSuchVerb(a2a.MethodNotFound):
    """405: there is such a resource, and nothing to do with it by this verb."""

    def __init__(self, operations: Mapping[str, str]) -> None:
        verbs = [*operations]
        if operations.get("GET") not in {None, *STREAMS}:
            verbs.append("HEAD")
        allowed = ", ".join(sorted(verbs))
        super().__init__("this resource does not know the verb", hint=f"it knows {allowed}")
        self.http_status = 405
        self.allowed = allowed.encode()
