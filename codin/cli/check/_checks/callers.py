"""Who calls, what they may see, and the card for those who say who they are."""

from __future__ import annotations

from codin.cli.check._answer import Answer
from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._checks.versions import operations
from codin.cli.check._shapes import faults
from codin.cli.check._verdict import Unchecked
from codin.cli.check._wire import Caller

_EXTENDED = "extendedAgentCard"


@check(
    "AUTH-EVERY-REQUEST",
    "AUTH-REFUSED",
    "AUTH-CHECKED-EVERYWHERE",
    "AUTH-BEFORE-LOOKING",
    "AUTH-CHALLENGE",
    "BINDING-CREDENTIALS",
)
async def without_a_credential(bench: Bench) -> None:
    """Where the card asks for a credential, no operation is answered without one."""
    if not bench.agent.listed("securityRequirements"):
        raise Unchecked("the card asks for no credential")
    nobody = bench.wire.caller.nobody()
    for method, params in operations(bench).items():
        answer = await bench.ask(method, params, caller=nobody)
        bench.expect(answer.turned_away, "AUTH-EVERY-REQUEST", "a refusal: no credential was shown", answer)
        if answer.status == 401:
            challenge = "www-authenticate" in answer.headers
            bench.expect(challenge, "AUTH-CHALLENGE", "WWW-Authenticate", f"{method}: {sorted(answer.headers)}")


@check("AUTH-REFUSED")
async def with_a_wrong_credential(bench: Bench) -> None:
    """Where the card asks for a credential, a wrong one is refused."""
    if not bench.agent.listed("securityRequirements") or not bench.wire.caller.secret:
        raise Unchecked("the card asks for no credential" if bench.wire.caller.secret else "no --token was given")
    wrong = Caller(
        {name: f"{value}-wrong" for name, value in bench.wire.caller.secret.items()}, bench.wire.caller.plain
    )
    answer = await bench.ask("ListTasks", caller=wrong)
    bench.expect(answer.turned_away, "AUTH-REFUSED", "a refusal: the credential is wrong", answer)


def _second(bench: Bench) -> Caller:
    if bench.wishes.second is None:
        raise Unchecked("needs another caller: --second-token")
    return bench.wishes.second


@check("AUTH-NOT-REVEALED", "AUTH-CHECKED-EVERYWHERE", "PUSH-SCOPE")
async def tasks_of_others(bench: Bench) -> None:
    """Somebody else's task and a task that is not there are one answer."""
    second = _second(bench)
    task, none = (await bench.ended())["id"], unknown_id()
    methods = ["GetTask", "CancelTask", *(["SubscribeToTask"] if bench.agent.declares("streaming") else [])]
    for method in methods:
        answers = [await bench.ask(method, {"id": id}, caller=second) for id in (task, none)]
        bench.refused(answers[0], "TaskNotFound", "AUTH-NOT-REVEALED")
        one, other = (_words(each, id) for each, id in zip(answers, (task, none), strict=True))
        bench.expect(one == other, "AUTH-NOT-REVEALED", f"as for an unknown task: {other[:200]}", answers[0])
    sent = await bench.ask("SendMessage", {"message": bench.message(taskId=task)}, caller=second)
    bench.refused(sent, "TaskNotFound", "AUTH-NOT-REVEALED")


def _words(answer: Answer, id: str) -> str:
    refusal = answer.refusal
    return "" if refusal is None else f"{refusal.code} {refusal.message} {refusal.details}".replace(id, "ID")


@check("AUTH-SCOPED", "LIST-VISIBLE")
async def list_of_others(bench: Bench) -> None:
    """A list holds the caller's own tasks only, with and without a filter."""
    second = _second(bench)
    task = await bench.ended()
    for params in ({}, {"contextId": task.get("contextId")}):
        answer = await bench.ask("ListTasks", params, caller=second)
        ids = [each.get("id") for each in bench.result(answer, "AUTH-SCOPED").get("tasks") or ()]
        bench.expect(task["id"] not in ids, "AUTH-SCOPED", "a list without the task of somebody else", answer)


@check("TENANT-APART", "TENANT-PATH")
async def another_tenant(bench: Bench) -> None:
    """A task of the interface's tenant is not there for another one."""
    if not bench.wire.tenant:
        raise Unchecked("the interface names no tenant")
    task = await bench.ended()
    answer = await bench.ask("GetTask", {"id": task["id"]}, tenant="codin-check")
    bench.any_refusal(answer, "TENANT-APART", "a refusal: the task belongs to another tenant")


@check("EXTENDED-UNDECLARED", lacks=_EXTENDED)
async def extended_undeclared(bench: Bench) -> None:
    """Where no extended card is declared, asking for it is UnsupportedOperation."""
    bench.refused(await bench.ask("GetExtendedAgentCard"), "UnsupportedOperation", "EXTENDED-UNDECLARED")


@check("EXTENDED-KNOWN", needs=_EXTENDED)
async def extended_for_nobody(bench: Bench) -> None:
    """Without a credential there is no extended card."""
    answer = await bench.ask("GetExtendedAgentCard", caller=bench.wire.caller.nobody())
    refused = answer.result is None and (answer.refusal is not None or answer.status in {401, 403})
    bench.expect(refused, "EXTENDED-KNOWN", "a refusal: no credential was shown", answer)


@check("EXTENDED-GIVEN", needs=_EXTENDED)
async def extended_for_a_caller(bench: Bench) -> None:
    """A caller who may have it gets a complete extended card."""
    if not bench.wire.caller.secret:
        raise Unchecked("no --token was given")
    answer = await bench.ask("GetExtendedAgentCard")
    refusal = answer.refusal
    if refusal is not None and (answer.turned_away or refusal.reason == "EXTENDED_AGENT_CARD_NOT_CONFIGURED"):
        raise Unchecked(f"this caller has none: {answer.received}")
    card = bench.result(answer, "EXTENDED-GIVEN")
    for fault in faults("AgentCard", card, at="card"):
        bench.expect(False, "EXTENDED-GIVEN", f"an AgentCard; but {fault.words}", answer)
