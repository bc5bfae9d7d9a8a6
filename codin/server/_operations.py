"""The operations of A2A, as every binding runs them: by name, with service parameters and the JSON of a request.

Spec 3.1, 3.2.6, 5.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from codin import a2a
from codin.server._endpoint import Endpoint, no_push
from codin.server._extended import extended_card, no_extended_card
from codin.server._http import Headers
from codin.server._stream import Streams
from codin.task import PushRequest, Subscription
from codin.telemetry import correlation_id
from codin.trust import ANONYMOUS, CALL_HEADER, Caller, CallLimits, chain_in

__all__ = ["STREAMS", "Operations", "check_version", "correlation", "echo"]

STREAMS = frozenset({"SendStreamingMessage", "SubscribeToTask"})
"""The operations that are answered by a stream."""

_CALL = CALL_HEADER.lower().encode()

_Unary = Callable[[Endpoint, Caller, Any, Headers], Awaitable[bytes]]
_Read = Callable[[str, dict[str, Any]], a2a.Model]


def _send_message(
    endpoint: Endpoint, caller: Caller, request: a2a.SendMessageRequest, headers: Headers
) -> Awaitable[bytes]:
    return endpoint.send(caller, request, _key(headers), _called(headers, caller), endpoint.extensions.active(headers))


def _get_task(endpoint: Endpoint, caller: Caller, request: a2a.GetTaskRequest, headers: Headers) -> Awaitable[bytes]:
    return endpoint.manager.get(caller, request)


def _list_tasks(
    endpoint: Endpoint, caller: Caller, request: a2a.ListTasksRequest, headers: Headers
) -> Awaitable[bytes]:
    return endpoint.manager.list(caller, request)


def _cancel_task(
    endpoint: Endpoint, caller: Caller, request: a2a.CancelTaskRequest, headers: Headers
) -> Awaitable[bytes]:
    return endpoint.manager.cancel(caller, request)


def _push(endpoint: Endpoint, caller: Caller, request: PushRequest, headers: Headers) -> Awaitable[bytes]:
    return endpoint.manager.push(caller, request)


async def _extended_card(endpoint: Endpoint, caller: Caller, request: a2a.Model, headers: Headers) -> bytes:
    if endpoint.extend is None:
        raise no_extended_card()
    return await extended_card(endpoint.cards, endpoint.extend, caller, headers)


_UNARY: dict[str, _Unary] = {
    "SendMessage": _send_message,
    "GetTask": _get_task,
    "ListTasks": _list_tasks,
    "CancelTask": _cancel_task,
    "CreateTaskPushNotificationConfig": _push,
    "GetTaskPushNotificationConfig": _push,
    "ListTaskPushNotificationConfigs": _push,
    "DeleteTaskPushNotificationConfig": _push,
    "GetExtendedAgentCard": _extended_card,
}


_SENDS = frozenset({"SendMessage", "SendStreamingMessage"})


class Operations:
    """Runs operations; the bindings translate between them and the wire.

    Args:
        read: makes the typed request of an operation's name and JSON.
    """

    def __init__(self, streams: Streams, read: _Read = a2a.params_of) -> None:
        self._streams = streams
        self._read = read

    def run(
        self, endpoint: Endpoint, caller: Caller, headers: Headers, method: str, params: dict[str, Any]
    ) -> Awaitable[bytes | Subscription]:
        """Run one operation: the JSON of its answer, or what to stream.

        Args:
            headers: the service parameters, by lower-case name. Spec 3.2.6.
            params: the JSON of the request object.

        Raises:
            A2AError: it is refused.
        """
        version = headers.get(b"a2a-version")
        if version != b"1.0":
            check_version(version)
        if endpoint.extensions.required:
            endpoint.extensions.check(headers)
        if method in _SENDS:
            endpoint.check_counts(params)
        unary = _UNARY.get(method)
        if unary is not None:
            if unary is _push and not endpoint.pushes:
                raise no_push()  # whatever its parameters are
            return unary(endpoint, caller, self._read(method, params), headers)
        if method not in STREAMS:
            raise _refused(endpoint, method)
        return self._open(endpoint, caller, self._read(method, params), headers)

    async def _open(
        self, endpoint: Endpoint, caller: Caller, request: a2a.Model, headers: Headers
    ) -> bytes | Subscription:
        """Run an operation that is answered by a stream."""
        with self._streams.opening():
            if isinstance(request, a2a.SubscribeToTaskRequest):
                return await endpoint.manager.subscribe(caller, request, _last_event_id(headers))
            request = cast("a2a.SendMessageRequest", request)
            extensions = endpoint.extensions.active(headers)
            return await endpoint.stream(caller, request, _key(headers), _called(headers, caller), extensions)


def _refused(endpoint: Endpoint, method: str) -> a2a.A2AError:
    """Why there is no such method here, whatever its parameters are."""
    there = [name for name in a2a.METHODS if endpoint.pushes or _UNARY.get(name) is not _push]
    if endpoint.extend is None:
        there.remove("GetExtendedAgentCard")
    hint = f"this agent speaks {', '.join(there)}"
    if "/" in method:
        hint = f"names with a slash are those of A2A 0.3, and this is 1.0; {hint}"
    return a2a.MethodNotFound(f"no method {method[:100]!r}", hint=hint)


def check_version(version: bytes | None) -> None:
    """Major.Minor has to be 1.0; a patch number is ignored; a missing version means 0.3. Spec 3.6.

    Raises:
        VersionNotSupported: always with the version that was understood.
    """
    said = (version or b"").strip().decode("latin-1")
    if said != "1.0" and not said.startswith("1.0."):
        named = (
            f"A2A version {said[:40]!r}" if said else "a call like this that names no A2A version, which means '0.3',"
        )
        raise a2a.VersionNotSupported(f"{named} is not supported", hint="send the header A2A-Version: 1.0")


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


def echo(endpoint: Endpoint, headers: Headers) -> list[tuple[bytes, bytes]]:
    """The extensions that are in use, when the client named any, and the correlation id it gave. Spec 3.2.6."""
    fields = correlation() if b"x-correlation-id" in headers else []
    if b"a2a-extensions" in headers and (used := endpoint.extensions.in_use(headers)):
        fields.append((b"a2a-extensions", used))
    return fields


def correlation() -> list[tuple[bytes, bytes]]:
    """What finds the log lines of this request again."""
    found = correlation_id()
    return [] if found is None else [(b"x-correlation-id", found.encode())]
