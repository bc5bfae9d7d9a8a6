"""The long way through JSON-RPC: batches, notifications and malformed envelopes, by `jsonrpcserver`.

Every entry follows the one table of envelope rules in `codin.a2a`, and ends in the same guarded dispatcher as a plain
call: no exception text gets out.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, cast

from codin import a2a
from codin.server._guarded import guarded

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it reads its schema the old way, on import
    from jsonrpcserver import Error, Result, Success
    from jsonrpcserver.async_main import dispatch_to_serializable

__all__ = ["dispatch"]

Run = Callable[[str, dict[str, Any]], Awaitable[bytes]]


async def dispatch(document: object, run: Run, max_batch: int) -> bytes | None:
    """The JSON of the answer or answers; None when there is nothing to answer.

    Raises:
        InvalidRequest: an empty batch, or one with more than `max_batch` calls.
    """
    if not isinstance(document, list):
        response = await _entry(document, run)
        return None if response is None else _json(response)
    entries = cast("list[object]", document)
    if not entries:
        raise a2a.InvalidRequest("an empty batch")
    if len(entries) > max_batch:
        raise a2a.InvalidRequest(f"a batch of {len(entries)} calls; {max_batch} are allowed")
    responses = await asyncio.gather(*(_entry(entry, run) for entry in entries))
    answered = [response for response in responses if response is not None]
    return _json(answered) if answered else None


async def _entry(entry: object, run: Run) -> object:
    try:
        a2a.check_envelope(entry)
    except a2a.A2AError as error:
        return {"jsonrpc": "2.0", "error": a2a.to_rpc_error(error), "id": _id_of(entry)}
    call = cast("dict[str, Any]", entry)

    async def method(**params: Any) -> Result:
        try:
            return Success(json.loads(await run(call["method"], params)))
        except Exception as error:
            fields = a2a.to_rpc_error(guarded(error))
            return Error(fields["code"], fields["message"], fields["data"])

    known = {key: call[key] for key in ("jsonrpc", "method", "id") if key in call}
    if call.get("params"):
        known["params"] = call["params"]

    def parsed(
        text: object,
    ) -> Any:  # the body was parsed and checked above: nothing is left to deserialise or validate
        return known

    return await dispatch_to_serializable("", methods={call["method"]: method}, deserializer=parsed, validator=parsed)


def _id_of(entry: object) -> object:
    """The id of a malformed envelope where it has a proper one. JSON-RPC 2.0 section 5."""
    found = cast("dict[str, Any]", entry).get("id") if isinstance(entry, dict) else None
    return found if type(found) in {str, int} else None


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
