"""The resources of HTTP+JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._rest import RestWire
from codin.cli.check._verdict import Finding
from codin.cli.check._wire import state_in

_REST = ("HTTP+JSON",)
_A2A_JSON = "application/a2a+json"


def _wire(bench: Bench) -> RestWire:
    assert isinstance(bench.wire, RestWire)
    return bench.wire


@check("REST-ERROR", bindings=_REST)
async def status_object(bench: Bench) -> None:
    """An error is the JSON of google.rpc.Status below error, with the HTTP status as its code."""
    answer = await bench.ask("GetTask", {"id": unknown_id()})
    refusal = answer.refusal
    bench.expect(refusal is not None, "REST-ERROR", "a JSON object with error", answer)
    bench.expect(refusal is not None and refusal.code == answer.status, "REST-ERROR", f"code {answer.status}", answer)
    named = b'"NOT_FOUND"' in answer.body
    bench.expect(named, "REST-ERROR", 'status "NOT_FOUND"', answer)


@check("REST-MEDIA-TYPE", bindings=_REST)
async def media_type(bench: Bench) -> None:
    """Answers are application/a2a+json, for who does not ask for another type of JSON."""
    answer = await bench.ask("ListTasks", {"pageSize": 1}, headers={"Accept": _A2A_JSON})
    right = answer.media_type == _A2A_JSON
    bench.expect(right, "REST-MEDIA-TYPE", _A2A_JSON, f"content-type: {answer.media_type!r}")
    answer = await bench.ask("ListTasks", {"pageSize": 1}, headers={"Accept": "application/json"})
    right = answer.media_type in {_A2A_JSON, "application/json"}
    bench.expect(right, "REST-MEDIA-TYPE", "an answer in JSON", f"content-type: {answer.media_type!r}")


@check("REST-MEDIA-TYPE", bindings=_REST)
async def requests_in_both_types(bench: Bench) -> None:
    """Requests are taken as application/a2a+json and as application/json."""
    params = {"message": bench.message(taskId=unknown_id())}
    for kind in (_A2A_JSON, "application/json"):
        answer = await bench.ask("SendMessage", params, headers={"Content-Type": kind})
        refusal = answer.refusal
        read = refusal is not None and refusal.reason in {"TASK_NOT_FOUND", "UNSUPPORTED_OPERATION"}
        bench.expect(read, "REST-MEDIA-TYPE", "TaskNotFound, as for any unknown task", answer)


@check("AUTH-MEDIA-TYPES", bindings=_REST)
async def wrong_media_type(bench: Bench) -> None:
    """A body that is not declared as JSON is refused before it is read."""
    answer = await bench.ask("SendMessage", {"message": bench.message()}, headers={"Content-Type": "text/plain"})
    bench.expect(answer.status in {400, 415}, "AUTH-MEDIA-TYPES", "ContentTypeNotSupported (400)", answer)


@check("REST-ERROR", "ERROR-VALIDATED", bindings=_REST)
async def malformed_body(bench: Bench) -> None:
    """A body that is no JSON, or no object, is HTTP 400."""
    for body in (b'{"message": ', b"[]", b"3"):
        answer = await _wire(bench).post("/message:send", body)
        bench.took_in(answer)
        right = answer.status == 400 and answer.refusal is not None
        bench.expect(right, "REST-ERROR", "HTTP 400 with an error", answer)


@check("REST-PATHS", bindings=_REST)
async def unknown_paths(bench: Bench) -> None:
    """A path or a verb that is not there is no success."""
    wire = _wire(bench)
    fields = {**wire.caller.plain, "A2A-Version": "1.0"}
    for verb, path in (("GET", "/codin-check"), ("DELETE", "/tasks/codin-check"), ("GET", "/message:send")):
        answer = await wire.go(verb, path, {}, fields)
        bench.expect(300 <= answer.status < 500, "REST-PATHS", "HTTP 404 or 405", answer)


@check("REST-QUERY-NAMES", "REST-QUERY-VALUES", bindings=_REST)
async def query(bench: Bench) -> None:
    """Parameters of a query have their names in camelCase, and values as the text says."""
    task = await bench.ended()
    context, state = task.get("contextId"), state_in(task)
    queries: list[Mapping[str, Any]] = [
        {"contextId": context, "includeArtifacts": True, "historyLength": 0, "pageSize": 100},
        {
            "contextId": context,
            "status": state,
            "statusTimestampAfter": "2000-01-01T00:00:00Z",
            "includeArtifacts": False,
        },
    ]
    for params in queries:
        answer = await bench.ask("ListTasks", params)
        ids = [each.get("id") for each in bench.result(answer, "REST-QUERY-VALUES").get("tasks") or ()]
        bench.expect(task["id"] in ids, "REST-QUERY-VALUES", f"a list with {task['id']}", answer)
    bench.refused(await bench.ask("ListTasks", {"pageSize": "many"}), "InvalidParams", "REST-QUERY-VALUES")
    answer = await bench.ask("ListTasks", {"status": "TASK_STATE_PERHAPS"})
    if answer.refusal is None:  # no sentence of the text is against it
        bench.wish(Finding.of("REST-QUERY-VALUES", "a refusal instead of a filter that is passed over", answer))


@check("REST-PATHS", bindings=_REST)
async def escaped_ids(bench: Bench) -> None:
    """An id in a path may be escaped; what it stands for is looked up."""
    task = await bench.ended()
    path = "/tasks/" + "".join(f"%{byte:02X}" for byte in task["id"].encode())
    wire = _wire(bench)
    answer = await wire.go("GET", path, {}, {**wire.caller.plain, "A2A-Version": "1.0"})
    bench.expect(bench.result(answer, "REST-PATHS").get("id") == task["id"], "REST-PATHS", f"{task['id']}", answer)
