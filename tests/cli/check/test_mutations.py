"""A server that breaks one rule is found out by the check for it. What is broken is codin's own, on its way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from codin import a2a
from codin.agent import agent
from codin.cli.check._json import is_object
from codin.cli.check._verdict import Outcome
from codin.cli.check._wire import Caller
from codin.server import App
from codin.task import Limits
from codin.trust import BearerTokens, SigningKey
from tests.cli.check.subject import Change, Exchange, Spoiled, checked, clerk

pytestmark = pytest.mark.anyio

FAILED, WARNED = Outcome.FAILED, Outcome.WARNED
FIRST, SECOND = (Caller({"Authorization": f"Bearer {name}"}) for name in ("one", "two"))
CARD = "/.well-known/agent-card.json"

Object = dict[str, Any]
Events = list[Object]
Edit = Callable[[Any], object]


# -- ways to spoil an exchange -----------------------------------------------------------------------------------------


def card(change: Edit) -> Change:
    """The card is another one."""

    def spoil(exchange: Exchange) -> None:
        if exchange.path == CARD and exchange.status == 200:
            document = exchange.document
            change(document)
            exchange.document = document

    return spoil


def result(method: str, change: Edit) -> Change:
    """The result of a method of JSON-RPC is another one."""

    def spoil(exchange: Exchange) -> None:
        document = exchange.document
        if exchange.method == method and isinstance(document, dict) and "result" in document:
            change(document["result"])
            exchange.document = document

    return spoil


def error(change: Edit, code: int | None = None) -> Change:
    """Errors of JSON-RPC are others; those with a code, or all."""

    def spoil(exchange: Exchange) -> None:
        document = exchange.document
        if is_object(document) and "error" in document:
            told = document["error"]
            if code in (None, told["code"]):
                change(told)
                exchange.document = document

    return spoil


def events(change: Callable[[Events], Events], *, bare: bool = False) -> Change:
    """The events of a stream are others; those of JSON-RPC, or bare ones."""

    def spoil(exchange: Exchange) -> None:
        if exchange.told.get("content-type", "").startswith("text/event-stream") and bool(exchange.method) is not bare:
            exchange.events = change(exchange.events)

    return spoil


def params(method: str, change: Edit) -> Change:
    """A method of JSON-RPC gets other parameters."""

    def spoil(exchange: Exchange) -> None:
        if exchange.method == method:
            call = exchange.call
            change(call["params"])
            exchange.call = call

    return spoil


def without(*names: str) -> Edit:
    """An object loses members."""

    def change(members: dict[str, Any]) -> None:
        for name in names:
            members.pop(name, None)

    return change


def put(**members: Any) -> Edit:
    """An object gets members."""

    def change(found: Object) -> None:
        found.update(members)

    return change


def header(name: str, value: str | None, path: str = "") -> Change:
    """A header of the answers is another one, or gone."""

    def spoil(exchange: Exchange) -> None:
        if not path or exchange.path == path:
            exchange.told.pop(name, None)
            exchange.told |= {name: value} if value is not None else {}

    return spoil


def version(said: str | None, heard: str, *methods: str) -> Change:
    """One version is taken for another."""

    def spoil(exchange: Exchange) -> None:
        if exchange.headers.get("a2a-version") == said and (not methods or exchange.method in methods):
            exchange.headers["a2a-version"] = heard

    return spoil


def envelope(change: Edit) -> Change:
    """The envelope of JSON-RPC is another one."""

    def spoil(exchange: Exchange) -> None:
        document = exchange.document
        if isinstance(document, dict) and "jsonrpc" in document:
            change(document)
            exchange.document = document

    return spoil


def call(change: Edit) -> Change:
    """What was called is another call."""

    def spoil(exchange: Exchange) -> None:
        found = exchange.call
        if isinstance(found, dict) and "jsonrpc" in found:
            change(found)
            exchange.call = found

    return spoil


def rest(path: str, change: Edit) -> Change:
    """The document of a resource is another one."""

    def spoil(exchange: Exchange) -> None:
        if exchange.path.startswith(path) and exchange.document is not None and not exchange.method:
            document = exchange.document
            change(document)
            exchange.document = document

    return spoil


def streamed_errors(exchange: Exchange) -> None:
    """What should be an ordinary body is a stream with one event."""
    if exchange.method == "SendStreamingMessage" and exchange.body.startswith(b"{"):
        exchange.told["content-type"] = "text/event-stream"
        exchange.events = [exchange.document]


def lone_answer(exchange: Exchange) -> None:
    """Only the first call of a batch is answered."""
    found = exchange.call
    if isinstance(found, list) and found:
        exchange.call = found[0]


def answered_notification(exchange: Exchange) -> None:
    found = exchange.call
    if isinstance(found, dict) and "jsonrpc" in found and "id" not in found:
        exchange.call = {**found, "id": None}


def one_verb(verb: str) -> Change:
    """A subscription is not there by the verb."""

    def spoil(exchange: Exchange) -> None:
        if exchange.verb == verb and exchange.path.endswith(":subscribe"):
            exchange.status, exchange.body = 404, b'{"detail":"Not Found"}'

    return spoil


def any_length(exchange: Exchange) -> None:
    """Lists do not look at the history length."""
    if exchange.method == "ListTasks":
        exchange.call = {**exchange.call, "params": {k: v for k, v in exchange.params.items() if k != "historyLength"}}


def known_by_all(exchange: Exchange) -> None:
    """Everybody is taken for the first caller."""
    exchange.headers["authorization"] = "Bearer one"


def known_by_the_list(exchange: Exchange) -> None:
    if exchange.method == "ListTasks" or exchange.path == "/tasks":
        known_by_all(exchange)


def known_without(exchange: Exchange) -> None:
    """Who shows nothing is let in, by one operation."""
    if exchange.method == "GetTask" and "authorization" not in exchange.headers:
        known_by_all(exchange)


SAID = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "a"}]}


def nothing_to_delete(exchange: Exchange) -> None:
    if exchange.method == "DeleteTaskPushNotificationConfig":
        told = {"code": -32001, "message": "not found"}
        exchange.document = {"jsonrpc": "2.0", "id": "check-1", "error": told}


def whole_seconds(page: Object) -> None:
    for task in page["tasks"]:
        task["status"]["timestamp"] = "2026-01-01T00:00:00Z"


def empty_artifacts(page: Object) -> None:
    for task in page["tasks"]:
        task.setdefault("artifacts", [])


def total_of_the_page(page: Object) -> None:
    page["totalSize"] = len(page["tasks"])


def without_last(page: Object) -> None:
    """Empty tokens are left out, as ProtoJSON does it."""
    if not page["nextPageToken"]:
        del page["nextPageToken"]


def twice(task: Object) -> None:
    task["history"] *= 2


def only_the_reason(told: Object) -> None:
    told["data"] = told["data"][:1]


def textual(found: Object) -> None:
    found["id"] = str(found["id"])


def refused_for_extensions(exchange: Exchange) -> None:
    if "a2a-extensions" in exchange.headers:
        error(put(code=-32008))(exchange)


def taken_for_json(exchange: Exchange) -> None:
    exchange.headers["content-type"] = "application/json"


def broken_by_a_list(exchange: Exchange) -> None:
    if exchange.content == b"[]":
        exchange.status = 500


def any_size(exchange: Exchange) -> None:
    exchange.query.pop("pageSize", None)


def no_list(exchange: Exchange) -> None:
    if exchange.method == "ListTasks":
        call(put(method="Nothing"))(exchange)


def says_a_message(members: dict[str, Any]) -> None:
    members["message"] = SAID


def state(name: str) -> Edit:
    return at("task", "status", do=put(state=name))


def at(*path: str | int, do: Edit) -> Edit:
    """Change what is further inside."""

    def change(value: Any) -> None:
        for step in path:
            value = value[step]
        do(value)

    return change


def lenient(found: dict[str, Any]) -> None:
    """A wrong page size is put right."""
    if "pageSize" in found:
        found["pageSize"] = min(100, max(1, int(found["pageSize"])))


class Mutation(NamedTuple):
    """What is spoiled, and the check that has to see it.

    Args:
        rule: that is broken.
        binding: in which it is seen.
    """

    check: str
    rule: str
    before: Change | None = None
    after: Change | None = None
    outcome: Outcome = FAILED
    binding: str = "JSONRPC"


IN_CARD = ""

# fmt: off
MUTATIONS = [
    # the card
    Mutation("card-served", "CARD-SERVED", after=header("content-type", "text/html", CARD), binding=IN_CARD),
    Mutation("card-content", "CARD-CONTENT", after=card(without("description")), binding=IN_CARD),
    Mutation("card-content", "CARD-CONTENT", after=card(put(skills={})), binding=IN_CARD),
    Mutation("interfaces-complete", "CARD-INTERFACES", binding=IN_CARD,
             after=card(at("supportedInterfaces", 0, do=put(protocolVersion="1.0.0")))),
    Mutation("interfaces-answer", "CARD-INTERFACES", binding=IN_CARD,
             after=card(at("supportedInterfaces", 1, do=put(url="http://nobody/")))),
    Mutation("card-security", "CARD-SECURITY", binding=IN_CARD,
             after=card(put(securityRequirements=[{"schemes": {"nothing": {"list": []}}}]))),
    Mutation("card-cache-control", "CARD-CACHE-CONTROL", after=header("cache-control", None), outcome=WARNED,
             binding=IN_CARD),
    Mutation("card-etag", "CARD-ETAG", after=header("etag", None), outcome=WARNED, binding=IN_CARD),
    Mutation("extensions-named", "EXTENSION-DECLARED", binding=IN_CARD,
             after=card(at("capabilities", "extensions", 0, do=put(uri="")))),
    # messages
    Mutation("one-answer", "SEND-ONE-ANSWER", after=result("SendMessage", says_a_message)),
    Mutation("waits-for-the-end", "SEND-BLOCKING", after=result("SendMessage", state("TASK_STATE_WORKING"))),
    Mutation("shape-of-an-answer", "DATA-FIELDS", after=result("SendMessage", at("task", do=put(kind="task")))),
    Mutation("shape-of-an-answer", "DATA-CAMEL-CASE",
             after=result("SendMessage", at("task", do=put(context_id="a")))),
    Mutation("shape-of-an-answer", "DATA-ENUMS", after=result("SendMessage", state("completed"))),
    Mutation("shape-of-an-answer", "DATA-UTC",
             after=result("SendMessage", at("task", "status", do=put(timestamp="2026-01-01T00:00:00.000+01:00")))),
    Mutation("shape-of-an-answer", "DATA-REQUIRED",
             after=result("SendMessage", at("task", "artifacts", 0, do=without("artifactId")))),
    Mutation("shape-of-an-answer", "DATA-NOT-EMPTY",
             after=result("SendMessage", at("task", "artifacts", 0, do=put(parts=[])))),
    Mutation("shape-of-an-answer", "DATA-ONE-CONTENT",
             after=result("SendMessage", at("task", "artifacts", 0, "parts", 0, do=put(url="http://a/")))),
    Mutation("shape-of-an-answer", "DATA-BASE64",
             after=result("SendMessage", at("task", "artifacts", 0, do=put(parts=[{"raw": "-_-_"}])))),
    Mutation("same-as-get", "SEND-LATEST-STATE", after=result("GetTask", without("artifacts"))),
    Mutation("ids-are-made", "CONTEXT-MADE", after=result("SendMessage", at("task", do=without("contextId")))),
    Mutation("ids-are-made", "TASK-MADE", after=result("SendMessage", at("task", do=put(id="t-1")))),
    Mutation("context-is-kept", "CONTEXT-NOT-REPLACED",
             after=result("SendMessage", at("task", do=put(contextId="another")))),
    Mutation("unknown-task", "TASK-UNKNOWN", before=params("SendMessage", at("message", do=without("taskId")))),
    Mutation("message-to-ended", "SEND-ENDED-TASK",
             before=params("SendMessage", at("message", do=without("taskId", "contextId")))),
    Mutation("context-is-inferred", "STATE-INPUT",
             before=params("SendMessage", at("message", do=without("taskId")))),
    Mutation("context-is-inferred", "CONTEXT-INFERRED",
             after=result("SendMessage", at("task", do=put(contextId="another")))),
    Mutation("context-mismatch", "CONTEXT-MISMATCH",
             before=params("SendMessage", at("message", do=without("contextId")))),
    Mutation("question-in-the-status", "SEND-STATUS-MESSAGE",
             after=result("SendMessage", at("task", "status", do=without("message")))),
    Mutation("media-type-of-a-part", "SEND-MEDIA-TYPE", after=error(put(code=-32602), -32005)),
    Mutation("media-type-of-a-part", "SEND-MEDIA-TYPE", outcome=WARNED,
             before=params("SendMessage", at("message", do=put(parts=[{"text": "a"}])))),
    Mutation("message-missing", "ERROR-VALIDATED", after=error(put(code=-32603), -32602)),
    Mutation("message-incomplete", "DATA-REQUIRED-CHECKED", outcome=WARNED,
             before=params("SendMessage", at("message", do=put(messageId="m", parts=[{"text": "a"}])))),
    Mutation("unknown-fields", "DATA-UNKNOWN", outcome=WARNED,
             before=params("SendMessage", at("message", do=put(parts=[])))),
    Mutation("answers-at-once", "SEND-IMMEDIATELY",
             before=params("SendMessage", at("configuration", do=without("returnImmediately")))),
    # tasks
    Mutation("get-unknown", "GET-UNKNOWN", after=error(put(code=-32603), -32001)),
    Mutation("history-zero", "HISTORY-ZERO", before=any_length),
    Mutation("history-zero", "HISTORY-OMITTED", after=result("GetTask", put(history=[])), outcome=WARNED),
    Mutation("history-one", "HISTORY-AT-MOST",
             after=result("GetTask", twice)),
    Mutation("history-negative", "HISTORY-NEGATIVE", before=any_length),
    Mutation("list-fields", "LIST-NEXT-TOKEN",
             after=result("ListTasks", without_last)),
    Mutation("list-fields", "LIST-REQUIRED", after=result("ListTasks", without("totalSize"))),
    Mutation("list-by-context", "LIST-BY-CONTEXT", before=params("ListTasks", without("contextId"))),
    Mutation("list-by-context", "LIST-TOTAL",
             after=result("ListTasks", total_of_the_page)),
    Mutation("list-pages", "LIST-NEXT-TOKEN", before=params("ListTasks", without("pageToken"))),
    Mutation("list-pages", "LIST-CURSOR", after=result("ListTasks", put(nextPageToken=""))),
    Mutation("list-size-range", "LIST-SIZE-RANGE", before=params("ListTasks", lenient)),
    Mutation("list-artifacts", "LIST-NO-ARTIFACTS",
             after=result("ListTasks", empty_artifacts)),
    Mutation("list-artifacts", "LIST-ARTIFACTS", before=params("ListTasks", without("includeArtifacts")),
             outcome=WARNED),
    Mutation("list-by-status", "LIST-BY-STATUS", before=params("ListTasks", without("status"))),
    Mutation("list-by-time", "LIST-BY-TIME", before=params("ListTasks", without("statusTimestampAfter"))),
    Mutation("list-by-no-time", "DATA-TIMES-READ", before=params("ListTasks", without("statusTimestampAfter"))),
    Mutation("list-bad-token", "LIST-BAD-TOKEN", before=params("ListTasks", without("pageToken"))),
    Mutation("milliseconds", "DATA-MILLISECONDS", outcome=WARNED, after=result("ListTasks", whole_seconds)),
    Mutation("cancel-ended", "CANCEL-ENDED", after=error(put(code=-32004), -32002)),
    Mutation("cancel-unknown", "CANCEL-UNKNOWN", before=params("CancelTask", put(nothing="a")),
             after=error(put(code=-32602), -32001)),
    Mutation("cancel", "CANCEL-UPDATED", after=result("CancelTask", put(id="another"))),
    # streams
    Mutation("order-of-a-stream", "STREAM-TASK-FIRST", after=events(lambda found: found[1:])),
    Mutation("order-of-a-stream", "STREAM-UPDATES", after=events(lambda found: [found[0], *found])),
    Mutation("end-of-a-stream", "STATE-NO-RETURN", after=events(lambda found: [*found, found[1]])),
    Mutation("stream-adds-up", "STREAM-ORDER",
             after=events(lambda found: [each for each in found if "artifactUpdate" not in each["result"]])),
    Mutation("shape-of-events", "DATA-ONE-EVENT",
             after=events(lambda found: [{**each, "result": {**each["result"], "message": SAID}} for each in found])),
    Mutation("stream-of-answers", "RPC-STREAM", after=events(lambda found: [{**each, "id": 9} for each in found])),
    Mutation("stream-unknown-task", "STREAM-REFUSED", after=streamed_errors),
    Mutation("stream-ended-task", "STREAM-ENDED-TASK", after=error(put(code=-32602), -32004)),
    Mutation("stream-undeclared", "STREAM-DECLARED",
             after=card(at("capabilities", do=put(streaming=False)))),
    Mutation("subscribe-ended", "SUBSCRIBE-ENDED", after=error(put(code=-32001), -32004)),
    Mutation("subscribe-unknown", "SUBSCRIBE-UNKNOWN", after=error(put(code=-32004), -32001)),
    Mutation("subscribe", "SUBSCRIBE-TASK-FIRST",
             after=events(lambda found: [each for each in found if "task" not in each["result"]])),
    # what is declared, and what is not
    Mutation("push-undeclared", "PUSH-UNDECLARED", after=error(put(code=-32601), -32003)),
    Mutation("push-inline-undeclared", "PUSH-INLINE-UNDECLARED",
             before=params("SendMessage", without("configuration"))),
    Mutation("extended-undeclared", "EXTENDED-UNDECLARED", after=error(put(code=-32601), -32004)),
    Mutation("version-unknown", "VERSION-EVERYWHERE", before=version("99.0", "1.0", "ListTasks")),
    Mutation("version-of-a-message", "VERSION-REFUSED", before=version("99.0", "1.0", "SendStreamingMessage")),
    Mutation("version-missing", "VERSION-EMPTY", before=version(None, "1.0", "GetTask")),
    Mutation("version-old", "VERSION-REFUSED", before=version("0.3", "1.0")),
    Mutation("version-patch", "VERSION-PATCH", before=version("1.0.3", "1.1")),
    Mutation("header-case", "PARAM-CASE", before=version("99.0", "1.0")),
    Mutation("unknown-extension", "EXTENSION-UNKNOWN", outcome=WARNED,
             after=refused_for_extensions),
    # errors and envelopes
    Mutation("error-details", "ERROR-TYPED-DETAILS", after=error(at("data", 0, do=without("@type")))),
    Mutation("error-info", "RPC-ERROR-INFO", after=error(at("data", 0, do=put(domain="example.com"))), outcome=WARNED),
    Mutation("error-names-the-field", "ERROR-FIELD", after=error(only_the_reason),
             outcome=WARNED),
    Mutation("error-keeps-secrets", "ERROR-DISCREET",
             after=error(put(message='Traceback (most recent call last):\n  File "/srv/app.py", line 3'))),
    Mutation("envelope", "RPC-ENVELOPE", after=envelope(textual)),
    Mutation("envelope", "RPC-ENVELOPE", after=envelope(without("jsonrpc"))),
    Mutation("answers-are-json", "RPC-MEDIA-TYPE", after=header("content-type", "text/plain")),
    Mutation("no-json", "RPC-PARSE-ERROR", after=error(put(code=-32600), -32700)),
    Mutation("no-request", "RPC-INVALID-REQUEST", after=error(put(code=-32602), -32600)),
    Mutation("no-method", "RPC-METHOD-NOT-FOUND", after=error(put(code=-32602), -32601)),
    Mutation("wrong-params", "RPC-INVALID-PARAMS", after=error(put(code=-32600), -32602)),
    Mutation("error-data", "RPC-ERROR-DATA", after=error(put(data={"why": "a"}))),
    Mutation("batch", "RPC-BATCH", before=lone_answer),
    Mutation("notification", "RPC-BATCH", before=answered_notification),
    Mutation("extended-without-params", "EXTENDED-NO-PARAMS",
             after=error(put(code=-32602))),
    Mutation("wrong-content-type", "AUTH-MEDIA-TYPES", outcome=WARNED,
             before=taken_for_json),
    # resources
    Mutation("status-object", "REST-ERROR", after=rest("/tasks/", at("error", do=put(code=400))), binding="HTTP+JSON"),
    Mutation("media-type", "REST-MEDIA-TYPE", outcome=WARNED, binding="HTTP+JSON",
             after=header("content-type", "application/json", "/tasks")),
    Mutation("error-info", "REST-ERROR-INFO", after=rest("/tasks/", at("error", do=put(details=[]))),
             binding="HTTP+JSON"),
    Mutation("query", "REST-QUERY-VALUES", before=any_size, binding="HTTP+JSON"),
    Mutation("subscribe-by-both-verbs", "REST-SUBSCRIBE", before=one_verb("POST"), binding="HTTP+JSON"),
    Mutation("subscribe-by-both-verbs", "REST-SUBSCRIBE", before=one_verb("GET"), outcome=WARNED, binding="HTTP+JSON"),
    Mutation("stream-of-objects", "REST-STREAM", binding="HTTP+JSON",
             after=events(lambda found: [{**each, "jsonrpc": "2.0"} for each in found], bare=True)),
    Mutation("malformed-body", "REST-ERROR", binding="HTTP+JSON",
             after=broken_by_a_list),
    Mutation("wrong-media-type", "AUTH-MEDIA-TYPES", outcome=WARNED, binding="HTTP+JSON",
             before=taken_for_json),
    # all bindings alike
    Mutation("same-results", "BINDING-RESULTS", after=rest("/tasks/", put(metadata={"a": 1}))),
    Mutation("same-errors", "BINDING-ERRORS",
             after=rest("/tasks/", at("error", "details", 0, do=put(reason="UNSUPPORTED_OPERATION")))),
    Mutation("every-operation", "BINDING-OPERATIONS",
             before=no_list),
]
# fmt: on


async def seen(mutation: Mutation, app: App, caller: Caller | None = None, second: Caller | None = None) -> None:
    """The check that is named has to see it."""
    spoiled = Spoiled(app, before=mutation.before, after=mutation.after)
    report = await checked(spoiled, mutation.check, caller=caller, second=second)
    found = [each for each in report.results if each.binding == mutation.binding]
    words = [(each.check.name, each.outcome, each.why, each.findings) for each in report.results]
    assert [each.outcome for each in found] == [mutation.outcome], words
    assert found[0].findings[0].rule == mutation.rule, words
    assert found[0].findings[0].expected
    assert found[0].findings[0].received


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.check}-{mutation.rule}")
async def test_a_broken_rule_is_found(mutation: Mutation) -> None:
    await seen(mutation, App(clerk, versions=("1.0",), push=False, limits=Limits(drain=0.05)))


@pytest.mark.parametrize(
    "mutation",
    [
        Mutation("without-a-credential", "AUTH-EVERY-REQUEST", before=known_without),
        Mutation("without-a-credential", "AUTH-CHALLENGE", after=header("www-authenticate", None), outcome=WARNED),
        Mutation("with-a-wrong-credential", "AUTH-REFUSED", before=known_by_all),
        Mutation("tasks-of-others", "AUTH-NOT-REVEALED", before=known_by_all),
        Mutation("list-of-others", "AUTH-SCOPED", before=known_by_the_list),
        Mutation("extended-for-nobody", "EXTENDED-KNOWN", before=known_by_all),
        Mutation("extended-for-a-caller", "EXTENDED-GIVEN", after=result("GetExtendedAgentCard", without("name"))),
        Mutation("push-is-kept", "PUSH-GET", after=result("GetTaskPushNotificationConfig", put(url="http://b/"))),
        Mutation("push-is-kept", "PUSH-LIST", after=result("ListTaskPushNotificationConfigs", put(configs=[]))),
        Mutation("push-is-deleted", "PUSH-DELETE", after=nothing_to_delete),
        Mutation("push-unknown-task", "PUSH-CREATE-UNKNOWN", after=error(put(code=-32602), -32001)),
        Mutation("signature-fits", "SIGN-JCS", after=card(put(description="another")), binding=IN_CARD),
        Mutation("required-extension", "EXTENSION-REQUIRED", after=error(put(code=-32602), -32008)),
        Mutation("old-message", "V03-SERVER", before=call(put(method="message/nothing"))),
    ],
    ids=lambda mutation: f"{mutation.check}-{mutation.rule}",
)
async def test_a_broken_promise_is_found(mutation: Mutation) -> None:
    @agent(extensions=[a2a.AgentExtension(uri="urn:test:wanted", required=True)])
    async def porter(text: str) -> str:
        return text.upper()

    served: Any = clerk if mutation.check.startswith("push") else porter
    app = App(
        served,
        authenticator=BearerTokens({"one": "ada", "two": "eve"}),
        extended_card=lambda card, caller: card,
        keys=SigningKey.generate(),
        public_url="http://agent",
        limits=Limits(drain=0.05),
    )
    await seen(mutation, app, FIRST, SECOND)


async def test_answers_of_another_shape_are_findings_too() -> None:
    def spoil(exchange: Exchange) -> None:
        if exchange.method == "SendMessage":
            exchange.body = json.dumps({"jsonrpc": "2.0", "id": "check-1", "result": {"task": {"id": 3}}}).encode()

    report = await checked(Spoiled(App(clerk, versions=("1.0",)), after=spoil), "SEND", "CONTEXT", "TASK")
    assert report.counts[FAILED] > 0
