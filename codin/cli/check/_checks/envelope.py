"""The envelope of JSON-RPC."""

from __future__ import annotations

import json
from typing import Any

from codin.cli.check._answer import Answer
from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._json import Json, is_list, objects
from codin.cli.check._jsonrpc import JsonRpcWire
from codin.cli.check._verdict import Finding

_RPC = ("JSONRPC",)
_NO_CALL = frozenset({-32700, -32600, -32601, -32602, -32603})


def _wire(bench: Bench) -> JsonRpcWire:
    assert isinstance(bench.wire, JsonRpcWire)
    return bench.wire


def _call(**fields: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": unknown_id()}, **fields}


async def _post(bench: Bench, body: bytes | Json | list[Any], **headers: str) -> Answer:
    answer = await _wire(bench).post(body, **headers)
    bench.took_in(answer)
    return answer


@check("RPC-ENVELOPE", "RPC-METHODS", bindings=_RPC)
async def envelope(bench: Bench) -> None:
    """Answers are JSON-RPC 2.0, with the id of the call as it was."""
    for id in ("a-1", 7, 0, "", "ä"):
        answer = await _post(bench, _call(id=id))
        document: Any = json.loads(answer.body) if answer.fault is None else {}
        right = document.get("jsonrpc") == "2.0" and ("result" in document) is not ("error" in document)
        bench.expect(right, "RPC-ENVELOPE", 'jsonrpc "2.0" and one of result and error', answer)
        same = document.get("id") == id and type(document.get("id")) is type(id)
        bench.expect(same, "RPC-ENVELOPE", f"id {id!r}", answer)


@check("RPC-MEDIA-TYPE", bindings=_RPC)
async def answers_are_json(bench: Bench) -> None:
    """Answers are application/json."""
    for answer in (await _post(bench, _call()), await bench.ask("ListTasks", {"pageSize": 1})):
        right = answer.media_type == "application/json"
        bench.expect(right, "RPC-MEDIA-TYPE", "application/json", answer.media_type or "none")


@check("RPC-PARSE-ERROR", bindings=_RPC)
async def no_json(bench: Bench) -> None:
    """What is not JSON is -32700."""
    bench.refused(await _post(bench, b'{"jsonrpc": "2.0", "id": 1, "method": '), "ParseError", "RPC-PARSE-ERROR")


@check("RPC-INVALID-REQUEST", bindings=_RPC)
async def no_request(bench: Bench) -> None:
    """What is JSON and no request is -32600."""
    for body in (b"[]", b"3", b'{"id": 1}', json.dumps(_call(jsonrpc="1.0")).encode()):
        bench.refused(await _post(bench, body), "InvalidRequest", "RPC-INVALID-REQUEST")


@check("RPC-METHOD-NOT-FOUND", bindings=_RPC)
async def no_method(bench: Bench) -> None:
    """A method that is not there is -32601."""
    for method in ("CodinCheck", "getTask"):
        answer = await _post(bench, _call(method=method))
        bench.refused(answer, "MethodNotFound", "RPC-METHOD-NOT-FOUND")


@check("RPC-INVALID-PARAMS", bindings=_RPC)
async def wrong_params(bench: Bench) -> None:
    """Wrong parameters are -32602."""
    for params in ({}, [1], {"id": {"no": "text"}}):
        answer = await _post(bench, _call(params=params))
        bench.refused(answer, "InvalidParams", "RPC-INVALID-PARAMS")


@check("RPC-ERROR-DATA", bindings=_RPC)
async def error_data(bench: Bench) -> None:
    """error.data is a list of objects with @type, where it is there."""
    for answer in (await _post(bench, _call()), await _post(bench, _call(params={}))):
        document: Any = json.loads(answer.body) if answer.refusal is not None else {}
        data = document.get("error", {}).get("data")
        listed = data is None or (is_list(data) and all("@type" in each for each in data))
        bench.expect(listed, "RPC-ERROR-DATA", "a list of objects with @type", answer)


@check("RPC-BATCH", bindings=_RPC)
async def batch(bench: Bench) -> None:
    """A batch of two calls has two answers."""
    answer = await _post(bench, [_call(id="one"), _call(id="two")])
    ids = sorted(str(each.get("id")) for each in _listed(answer.body))
    if answer.refusal is not None and answer.refusal.code in _NO_CALL:  # JSON-RPC only recommends to answer a batch
        bench.wish(Finding.of("RPC-BATCH", "a list of two answers", answer))
        return
    bench.expect(ids == ["one", "two"], "RPC-BATCH", "a list of two answers", answer)


@check("RPC-BATCH", bindings=_RPC)
async def notification(bench: Bench) -> None:
    """A call without an id is a notification, which is not answered."""
    call = _call()
    del call["id"]
    answer = await _post(bench, call)
    bench.expect(not answer.body.strip(), "RPC-BATCH", "no body: it is a notification", answer)


def _listed(body: bytes) -> list[Json]:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return []
    return objects(found)


@check("EXTENDED-NO-PARAMS", bindings=_RPC)
async def extended_without_params(bench: Bench) -> None:
    """GetExtendedAgentCard needs no params."""
    call = _call(method="GetExtendedAgentCard")
    del call["params"]
    answer = await _post(bench, call)
    wrong = answer.refusal is not None and answer.refusal.code in {-32602, -32600}
    bench.expect(not wrong and not answer.fault, "EXTENDED-NO-PARAMS", "an answer as with empty params", answer)


@check("AUTH-MEDIA-TYPES", bindings=_RPC)
async def wrong_content_type(bench: Bench) -> None:
    """A body that is not declared as JSON is refused with ContentTypeNotSupported before it is read."""
    for kind in ("text/plain", "application/xml"):
        answer = await _post(bench, _call(), Content_Type=kind)
        refused = answer.status == 415 or (answer.refusal is not None and answer.refusal.code == -32005)
        bench.expect(refused, "AUTH-MEDIA-TYPES", "ContentTypeNotSupported (-32005)", answer)
