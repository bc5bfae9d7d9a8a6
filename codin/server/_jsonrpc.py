"""The JSON-RPC binding. Spec 9. A well-formed single call goes straight to its method; the rest takes the long way."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Send

from codin import a2a
from codin.server._endpoint import Endpoint
from codin.server._guarded import guarded
from codin.server._http import JSON, Headers, answer, declares, not_taken, read_body
from codin.server._limits import ServerLimits
from codin.server._observer import Seen
from codin.server._operations import Operations, echo
from codin.server._refusal import refusal_fields
from codin.server._stream import EventStream, Streams
from codin.server._v03 import OldOperations, old_echo, speaks_old
from codin.task import Subscription
from codin.trust import ANONYMOUS, Caller

__all__ = ["JsonRpc"]

_STREAMED = frozenset({"SendStreamingMessage", "message/stream"})
_MEDIA_TYPES = frozenset({b"application/json", b"application/a2a+json", b"application/json-rpc"})


class JsonRpc:
    """JSON-RPC 2.0 over HTTP POST.

    Errors are answered with HTTP 200, because clients read the body only then; except 401 and 403, whose challenge
    belongs to HTTP, and 413, after which the connection is of no use.

    Args:
        old: runs calls in 0.3; without it they are refused.
    """

    system = "jsonrpc"
    """The kind of RPC, for traces."""

    def __init__(
        self, operations: Operations, limits: ServerLimits, streams: Streams, old: OldOperations | None = None
    ) -> None:
        self._operations = operations
        self._old = old
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
        call_id, body = b"", b""
        try:
            if not declares(headers, _MEDIA_TYPES):
                # Before the body is looked at: a form is not malformed JSON. Spec 3.3.2
                raise not_taken(headers, "application/json")
            body = await read_body(receive, headers, self._limits.max_body)
            if caller is None:
                caller = ANONYMOUS if endpoint.admission is None else await endpoint.admission.caller(headers)
            call = a2a.parse_call(body, self._limits.max_depth, self._limits.max_values)
            if call is None:
                await self._long_way(endpoint, caller, headers, body, send)
                return
            call_id, method = call.id_json, call.method
            if seen is not None:
                seen.method = method
            old = self._old_of(method, headers)
            payload = await (old or self._operations).run(endpoint, caller, headers, method, call.params)
            told = echo(endpoint, headers) if old is None else old_echo(endpoint, headers)
            if isinstance(payload, Subscription):
                prefix = b'data: {"jsonrpc":"2.0","id":%s,"result":' % call_id
                stream = EventStream(self._streams, payload, told, prefix=prefix, suffix=b"}\n\n")
                await stream.respond(receive, send)
            elif method in _STREAMED:
                await _one_event(send, a2a.result_bytes(call_id, payload))
            else:
                await answer(send, a2a.result_bytes(call_id, payload), headers=[JSON, *told])
        except ConnectionResetError:
            return  # the client went away before it had said what it wanted
        except Exception as error:
            told = guarded(error)
            if seen is not None:
                seen.error = told
            await _answer_error(send, call_id or _id_in(body, self._limits), told)

    def _old_of(self, method: str, headers: Headers) -> OldOperations | None:
        """What runs a call in 0.3, which is one by its name and says no other version."""
        return self._old if "/" in method and speaks_old(headers) else None

    async def _long_way(self, endpoint: Endpoint, caller: Caller, headers: Headers, body: bytes, send: Send) -> None:
        from codin.server._batch import dispatch  # seldom needed, and jsonrpcserver is slow to load

        async def run(method: str, params: dict[str, Any]) -> bytes:
            runs = self._old_of(method, headers) or self._operations
            payload = await runs.run(endpoint, caller, headers, method, params)
            if isinstance(payload, Subscription):
                raise a2a.InvalidRequest(f"{method} streams and cannot be in a batch or a notification")
            return payload

        document = a2a.parse_json(body, self._limits.max_depth, self._limits.max_values)
        answers = await dispatch(document, run, self._limits.max_batch)
        if answers is None:
            await answer(send, b"", status=204, headers=())
        else:
            await answer(send, answers)


def _id_in(body: bytes, limits: ServerLimits) -> bytes:
    """The id of a call that was refused before it was looked at; null where there is none."""
    try:
        call = a2a.parse_call(body, limits.max_depth, limits.max_values)
    except a2a.A2AError:
        return b"null"
    return b"null" if call is None else call.id_json


async def _answer_error(send: Send, call_id: bytes, error: a2a.A2AError) -> None:
    status = error.http_status if error.http_status in {401, 403, 413} else 200
    fields = [JSON, *refusal_fields(error, status)]
    await answer(send, a2a.error_bytes(call_id, error), status=status, headers=fields)


async def _one_event(send: Send, body: bytes) -> None:
    await answer(send, a2a.sse_event(body), headers=[(b"content-type", b"text/event-stream; charset=utf-8")])
