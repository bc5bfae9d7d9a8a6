"""How errors are written."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from codin.cli.check._answer import Answer, Refusal
from codin.cli.check._bench import REASONS, Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._json import is_object
from codin.cli.check._verdict import Unchecked

_DOMAIN = "a2a-protocol.org"
_INFO_RULES = {"JSONRPC": "RPC-ERROR-INFO", "HTTP+JSON": "REST-ERROR-INFO", "GRPC": "GRPC-ERROR-INFO"}
_INSIDE = re.compile(r'Traceback \(most recent|File "/[^"]*", line \d+|\bat [\w.$<>]+ \([^)]*:\d+(:\d+)?\)')


async def _refusals(bench: Bench) -> AsyncIterator[tuple[str, Answer, Refusal]]:
    """Errors of the protocol that any server can be brought to, by the reason they have to name."""
    yield "TASK_NOT_FOUND", *_refusal(await bench.ask("GetTask", {"id": unknown_id()}))
    yield "VERSION_NOT_SUPPORTED", *_refusal(await bench.ask("GetTask", {"id": unknown_id()}, version="99.0"))
    try:
        task = await bench.ended()
    except Unchecked:
        return
    if task["status"]["state"] != "TASK_STATE_CANCELED":
        yield "TASK_NOT_CANCELABLE", *_refusal(await bench.ask("CancelTask", {"id": task["id"]}))
    yield "UNSUPPORTED_OPERATION", *_refusal(await bench.send(taskId=task["id"], contextId=task.get("contextId")))


def _refusal(answer: Answer) -> tuple[Answer, Refusal]:
    return answer, answer.refusal or Refusal(0, "")


@check("ERROR-CODE-AND-MESSAGE", "ERROR-TYPED-DETAILS", "ERROR-KNOWN-DETAILS", "GRPC-ERROR")
async def error_details(bench: Bench) -> None:
    """Errors have a code and words, and details that name their type with @type."""
    async for _, answer, refusal in _refusals(bench):
        if not refusal.code:
            continue  # it was answered; other checks say so
        bench.expect(bool(refusal.message), "ERROR-CODE-AND-MESSAGE", "words for people", answer)
        for detail in refusal.details or ():
            typed = is_object(detail) and isinstance(detail.get("@type"), str)
            bench.expect(typed, "ERROR-TYPED-DETAILS", "objects with @type", answer)
            known = "google.rpc." in str(detail["@type"])
            bench.expect(known, "ERROR-KNOWN-DETAILS", "types of google.rpc", answer)


@check("ERROR-MAPPING", "RPC-ERROR-INFO", "REST-ERROR-INFO", "GRPC-ERROR-INFO")
async def error_info(bench: Bench) -> None:
    """Errors of the protocol bring an ErrorInfo with their reason and the domain a2a-protocol.org."""
    rule = _INFO_RULES[bench.wire.binding]
    async for reason, answer, refusal in _refusals(bench):
        info = refusal.detail("ErrorInfo")
        another = info.get("reason") in REASONS - {reason}
        if not refusal.code or another:
            continue  # it is not the error that was asked for, which other checks say
        right = (info.get("reason"), info.get("domain")) == (reason, _DOMAIN)
        bench.expect(right, rule, f'ErrorInfo with reason "{reason}" and domain "{_DOMAIN}"', answer)


@check("ERROR-FIELD", "ERROR-GUIDANCE")
async def error_names_the_field(bench: Bench) -> None:
    """An error about parameters says which, in a BadRequest."""
    answer = await bench.ask("ListTasks", {"pageSize": -1})
    if answer.refusal is None:
        raise Unchecked(f"the wrong parameter was taken: {answer.received}")
    named = answer.refusal.detail("BadRequest").get("fieldViolations")
    bench.expect(bool(named), "ERROR-FIELD", "BadRequest with fieldViolations", answer)


@check("ERROR-DISCREET")
async def error_keeps_secrets(bench: Bench) -> None:
    """An error shows nothing of the server's insides."""
    wrong = {**bench.message(), "parts": [{"text": "a", "metadata": {"deep": [[[[0]]]]}}], "role": "ROLE_AGENT"}
    for answer in (
        await bench.ask("SendMessage", {"message": wrong}),
        await bench.ask("ListTasks", {"pageToken": "\u00e4%00'\"<"}),
        await bench.ask("GetTask", {"id": "../" * 20}),
    ):
        shown = answer.body.decode("utf-8", "replace") + (answer.refusal.message if answer.refusal else "")
        bench.expect(_INSIDE.search(shown) is None, "ERROR-DISCREET", "no stack trace", answer)
