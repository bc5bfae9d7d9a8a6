"""All bindings alike, and peers of 0.3."""

from __future__ import annotations

from typing import Any

from codin import a2a
from codin.cli.check._answer import Answer
from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._checks.versions import operations
from codin.cli.check._json import Json, is_list, is_object
from codin.cli.check._jsonrpc import JsonRpcWire
from codin.cli.check._verdict import Unchecked

_ROWS = a2a.error_table()


@check("BINDING-OPERATIONS", "REST-PATHS", "RPC-METHODS", "GRPC-SERVICE")
async def every_operation(bench: Bench) -> None:
    """Every operation is there."""
    missing = {-32601, "UNIMPLEMENTED"}
    for method, params in operations(bench).items():
        answer = await bench.ask(method, params)
        refusal = answer.refusal
        there = (refusal is None or refusal.code not in missing) and answer.status != 405 and not answer.fault
        bench.expect(there, "BINDING-OPERATIONS", method, answer)


def _others(bench: Bench) -> list[str]:
    others = [binding for binding in bench.agent.wires if binding != bench.wire.binding]
    if not others:
        raise Unchecked("there is only this binding")
    return others


@check("BINDING-RESULTS")
async def same_results(bench: Bench) -> None:
    """A task that was made by this binding is the same in every other."""
    others = _others(bench)
    task = await bench.ended()
    here = _plain((await bench.ask("GetTask", {"id": task["id"]})).result)
    for binding in others:
        answer = await bench.agent.wires[binding].ask("GetTask", {"id": task["id"]})
        same = _plain(answer.result) == here
        bench.expect(same, "BINDING-RESULTS", f"over {binding}, the task as over {bench.wire.binding}", answer)
        listed = await bench.agent.wires[binding].ask("ListTasks", {"contextId": task.get("contextId")})
        found: Any = listed.result.get("tasks") if is_object(listed.result) else None
        ids = [each.get("id") for each in found or ()]
        bench.expect(task["id"] in ids, "BINDING-RESULTS", f"over {binding}, a list with {task['id']}", listed)


def _plain(value: Any) -> Any:
    """Without what is empty, which gRPC does not tell from what is absent; times to the millisecond."""
    if is_object(value):
        members: Json = value
        made = {name: _plain(each) for name, each in members.items()}
        return {
            name: _time(each) if name == "timestamp" else each
            for name, each in made.items()
            if each not in (None, "", [], {}, 0, False)
        }
    if is_list(value):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _time(value: Any) -> str:
    whole, _, fraction = str(value).rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<3.3}"


@check("BINDING-ERRORS", "ERROR-MAPPING")
async def same_errors(bench: Bench) -> None:
    """The same mistake is the same error in every binding."""
    others = _others(bench)
    mistakes: list[tuple[str, Json, str]] = [
        ("GetTask", {"id": unknown_id()}, "1.0"),
        ("GetTask", {"id": unknown_id()}, "99.0"),
        ("CancelTask", {"id": unknown_id()}, "1.0"),
        ("ListTasks", {"pageSize": 101}, "1.0"),
        ("GetExtendedAgentCard", {}, "1.0"),
        ("SendMessage", {"message": bench.message(taskId=unknown_id())}, "1.0"),
    ]
    for method, params, version in mistakes:
        here = _name(await bench.ask(method, params, version=version), bench.wire.binding)
        for binding in others:
            answer = await bench.agent.wires[binding].ask(method, params, version=version)
            same = _name(answer, binding) & here
            words = f"over {binding}, the same as over {bench.wire.binding}: {' or '.join(sorted(here))}"
            bench.expect(bool(same), "BINDING-ERRORS", words, answer)


def _name(answer: Answer, binding: str) -> set[str]:
    """The errors of the table that an answer may be; a reason leaves one."""
    refusal = answer.refusal
    if refusal is None:
        return {"an answer"}
    codes = {"JSONRPC": 1, "HTTP+JSON": 2, "GRPC": 3}
    found = {row.reason for row in _ROWS if row[codes[binding]] == refusal.code}
    return {refusal.reason} if refusal.reason in found else found or {str(refusal.code)}


@check("V03-SERVER", "V03-DIALECTS", bindings=("JSONRPC",))
async def old_message(bench: Bench) -> None:
    """Where the card declares 0.3, a call of 0.3 is answered in 0.3."""
    wire = bench.wire
    assert isinstance(wire, JsonRpcWire)
    interfaces = bench.agent.listed("supportedInterfaces")
    old = [
        each
        for each in interfaces
        if each.get("protocolBinding") == "JSONRPC" and str(each.get("protocolVersion", "")).startswith("0")
    ]
    if not old:
        raise Unchecked("the card declares no JSON-RPC interface of 0.3")
    parts = [{"kind": "text", "text": bench.wishes.message}]
    message = {"kind": "message", "messageId": unknown_id(), "role": "user", "parts": parts}
    call = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
    at = JsonRpcWire(str(old[0].get("url")), "", wire.caller, wire.timeout, bench.agent.transport)
    answer = await at.post(call, A2A_Version="0.3")
    bench.took_in(answer)
    result: Any = answer.result if is_object(answer.result) else {}
    bench.expect(result.get("kind") in {"task", "message"}, "V03-SERVER", 'a result with kind "task"', answer)
