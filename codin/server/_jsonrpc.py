"""The JSON-RPC binding. Spec 9. A well-formed single call goes straight to its method; the rest takes the long way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from starlette.types import Receive, Send

from codin import a2a
from codin.server._admission import NotAllowed, NotKnown
from codin.server._card import RESUME
from codin.server._endpoint import Endpoint
from codin.server._guarded import guarded
from codin.server._http import JSON, Headers, answer, discard, read_body
from codin.server._limits import ServerLimits
from codin.server._observer import Seen
from codin.server._stream import EventStream, Streams
from codin.task import Subscription
from codin.telemetry import correlation_id
from codin.trust import ANONYMOUS, CALL_HEADER, Caller, CallLimits, chain_in

__all__ = ["JsonRpc"]

_MEDIA_TYPES = frozenset({b"application/json", b"application/a2a+json", b"application/json-rpc"})
_PUSH = frozenset(name for name in a2a.METHODS if "PushNotification" in name)

_NEVER = frozenset({"GetExtendedAgentCard"})
_STREAMS = frozenset({"SendStreamingMessage", "SubscribeToTask"})

_EXTENSIONS = frozenset({RESUME.encode(), a2a.CALL_EXTENSION.encode()})
_CALL = CALL_HEADER.lower().encode()

_Unary = Callable[[Endpoint, Caller, Any, Headers], Awaitable[bytes]]


async def _send_message(endpoint: Endpoint, caller: Caller, request: a2a.SendMessageRequest, headers: Headers) -> bytes:
    return await endpoint.send(caller, request, _key(headers), _called(headers, caller))


async def _get_task(endpoint: Endpoint, caller: Caller, request: a2a.GetTaskRequest, headers: Headers) -> bytes:
    return await endpoint.manager.get(caller, request)


async def _list_tasks(endpoint: Endpoint, caller: Caller, request: a2a.ListTasksRequest, headers: Headers) -> bytes:
    return await endpoint.manager.list(caller, request)


async def _cancel_task(endpoint: Endpoint, caller: Caller, request: a2a.CancelTaskRequest, headers: Headers) -> bytes:
    return await endpoint.manager.cancel(caller, request)


async def _extended_card(endpoint: Endpoint, caller: Caller, request: a2a.Model, headers: Headers) -> bytes:
    raise a2a.UnsupportedOperation("this agent has no extended card", hint="its public card says everything")


_UNARY: dict[str, _Unary] = {
    "SendMessage": _send_message,
    "GetTask": _get_task,
    "ListTasks": _list_tasks,
    "CancelTask": _cancel_task,
    "GetExtendedAgentCard": _extended_card,
}


class JsonRpc:
    """JSON-RPC 2.0 over HTTP POST.

    Errors are answered with HTTP 200, because clients read the body only then; except 401 and 403, whose challenge
    belongs to HTTP, and 413, after which the connection is of no use.
    """

    def __init__(self, limits: ServerLimits, streams: Streams) -> None:
        self._limits = limits
        self._streams = streams

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
        """Answer one POST, and note in `seen` what it was. The caller is found out unless it is known already."""
        call_id = b"null"
        try:
            check_media_type(headers)
            body = await read_body(receive, headers, self._limits.max_body)
            if caller is None:
                caller = ANONYMOUS if endpoint.admission is None else await endpoint.admission.caller(headers)
            call = a2a.parse_call(body, self._limits.max_depth)
            if call is None:
                await self._long_way(endpoint, caller, headers, body, send)
                return
            call_id = call.id_json
            if seen is not None:
                seen.method = call.method
            payload = await self.call(endpoint, caller, headers, call.method, call.params)
            if isinstance(payload, Subscription):
                stream = EventStream(self._streams, call_id, payload, _echo(headers))
                await stream.respond(receive, send)
            elif call.method == "SendStreamingMessage":
                await _one_event(send, a2a.result_bytes(call_id, payload))
            else:
                await answer(send, a2a.result_bytes(call_id, payload), headers=[JSON, *_echo(headers)])
        except ConnectionResetError:
            return  # the client went away before it had said what it wanted
        except Exception as error:
            if isinstance(error, a2a.PayloadTooLarge):
                await discard(receive, self._limits.max_body)
            told = guarded(error)
            if seen is not None:
                seen.error = told
            await _answer_error(send, call_id, told)

    async def call(
        self, endpoint: Endpoint, caller: Caller, headers: Headers, method: str, params: dict[str, Any]
    ) -> bytes | Subscription:
        """Run one method. Raises A2AError."""
        version = headers.get(b"a2a-version")
        if version != b"1.0":
            check_version(version)
        unary = _UNARY.get(method)
        if unary is not None:
            return await unary(endpoint, caller, a2a.params_of(method, params), headers)
        if method not in _STREAMS:
            raise _refused(method)
        request = a2a.params_of(method, params)
        with self._streams.opening():
            if method == "SubscribeToTask":
                request = cast("a2a.SubscribeToTaskRequest", request)
                return await endpoint.manager.subscribe(caller, request, _last_event_id(headers))
            request = cast("a2a.SendMessageRequest", request)
            return await endpoint.stream(caller, request, _key(headers), _called(headers, caller))

    async def _long_way(self, endpoint: Endpoint, caller: Caller, headers: Headers, body: bytes, send: Send) -> None:
        from codin.server._batch import dispatch  # seldom needed, and jsonrpcserver is slow to load

        async def run(method: str, params: dict[str, Any]) -> bytes:
            payload = await self.call(endpoint, caller, headers, method, params)
            if isinstance(payload, Subscription):
                raise a2a.InvalidRequest(f"{method} streams and cannot be in a batch or a notification")
            return payload

        document = a2a.parse_json(body, self._limits.max_depth)
        answers = await dispatch(document, run, self._limits.max_batch)
        if answers is None:
            await answer(send, b"", status=204, headers=())
        else:
            await answer(send, answers)


def _refused(method: str) -> a2a.A2AError:
    """Why there is no such method here, whatever its parameters are."""
    if method in _PUSH:
        return a2a.PushNotificationNotSupported("this agent does not push; subscribe to the task instead")
    hint = f"this agent speaks {', '.join(name for name in a2a.METHODS if name not in _PUSH | _NEVER)}"
    if "/" in method:
        hint = f"names with a slash are those of A2A 0.3, and this is 1.0; {hint}"
    return a2a.MethodNotFound(f"no method {method[:100]!r}", hint=hint)


def check_media_type(headers: Headers) -> None:
    """Looked at before the body is, so that a form is not called malformed JSON. Spec 3.3.2.

    Raises:
        ContentTypeNotSupported: the body is not declared as JSON.
    """
    declared = headers.get(b"content-type", b"")
    if declared in _MEDIA_TYPES or declared.partition(b";")[0].strip().lower() in _MEDIA_TYPES:
        return
    raise a2a.ContentTypeNotSupported(f"media type {declared.decode('latin-1')!r}", hint="send application/json")


def check_version(version: bytes | None) -> None:
    """Major.Minor has to be 1.0; a patch number is ignored; a missing version means 0.3. Spec 3.6.

    Raises:
        VersionNotSupported: always with the version that was understood.
    """
    said = (version or b"").strip().decode("latin-1")
    if said != "1.0" and not said.startswith("1.0."):
        named = f"A2A version {said!r}" if said else "a request that names no A2A version means '0.3', which"
        raise a2a.VersionNotSupported(f"{named} is not supported", hint="send the header A2A-Version: 1.0")


async def _answer_error(send: Send, call_id: bytes, error: a2a.A2AError) -> None:
    status = error.http_status if error.http_status in {401, 403, 413} else 200
    fields = [JSON, *_correlation()]
    if isinstance(error, NotKnown | NotAllowed):
        fields.append((b"www-authenticate", error.challenge.encode("latin-1")))
    elif status == 401:
        fields.append((b"www-authenticate", b"Bearer"))
    if status == 413:
        fields.append((b"connection", b"close"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    await answer(send, a2a.error_bytes(call_id, error), status=status, headers=fields)


async def _one_event(send: Send, body: bytes) -> None:
    await answer(send, a2a.sse_event(body), headers=[(b"content-type", b"text/event-stream; charset=utf-8")])


def _key(headers: Headers) -> str | None:
    key = headers.get(b"idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= 256:
        raise a2a.InvalidRequest("the Idempotency-Key header must have 1 to 256 characters")
    return key.decode("latin-1")


def _called(headers: Headers, caller: Caller) -> CallLimits | None:
    """The limits of the call: those that its token vouches for, else those of the header, which anybody may say."""
    claim = None if caller is ANONYMOUS else caller.claims.get("call")
    if claim is not None:
        return replace(CallLimits.from_claim(claim), chain=chain_in(headers))
    said = headers.get(_CALL)
    return None if said is None else CallLimits.from_header(said)


def _last_event_id(headers: Headers) -> int | None:
    value = headers.get(b"last-event-id")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise a2a.InvalidParams(
            f"Last-Event-ID {value.decode('latin-1')!r} is not an event number", reason="EVENT_NUMBER_UNKNOWN"
        )
    return int(value)


def _echo(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The extensions that are in use, when the client named any, and the correlation id it gave. Spec 3.2.6."""
    fields = _correlation() if b"x-correlation-id" in headers else []
    wanted = headers.get(b"a2a-extensions")
    if wanted is not None:
        named = [uri for uri in map(bytes.strip, wanted.split(b",")) if uri in _EXTENSIONS]
        if named:
            fields.append((b"a2a-extensions", b", ".join(named)))
    return fields


def _correlation() -> list[tuple[bytes, bytes]]:
    """What finds the log lines of this request again."""
    found = correlation_id()
    return [] if found is None else [(b"x-correlation-id", found.encode())]
