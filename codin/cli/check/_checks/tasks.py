"""Histories, lists of tasks, and canceling them."""

from __future__ import annotations

from datetime import datetime, timedelta

from codin.cli.check._answer import Answer
from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import HTTP, check
from codin.cli.check._json import Json, is_object, objects
from codin.cli.check._verdict import Unchecked
from codin.cli.check._wire import state_in

_REQUIRED = ("tasks", "nextPageToken", "pageSize", "totalSize")
_STATES = ("COMPLETED", "FAILED", "CANCELED", "REJECTED", "INPUT_REQUIRED", "AUTH_REQUIRED", "WORKING", "SUBMITTED")


# -- history -----------------------------------------------------------------------------------------------------------


@check("HISTORY-ZERO", "HISTORY-OMITTED", "HISTORY-EVERYWHERE")
async def history_zero(bench: Bench) -> None:
    """historyLength 0 brings no history: in a send, a get and a list."""
    task = await bench.ended()
    sent = await bench.ask("SendMessage", {"message": bench.message(), "configuration": {"historyLength": 0}})
    got = await bench.ask("GetTask", {"id": task["id"], "historyLength": 0})
    listed = await bench.ask("ListTasks", {"historyLength": 0, "pageSize": 1})
    for answer, found in ((sent, _sent(sent)), (got, [bench.result(got)]), (listed, _tasks(listed))):
        for each in found:
            bench.expect(not each.get("history"), "HISTORY-ZERO", "no history", answer)
            bench.expect("history" not in each, "HISTORY-OMITTED", "no field history", answer)


@check("HISTORY-AT-MOST", "HISTORY-EVERYWHERE")
async def history_one(bench: Bench) -> None:
    """historyLength 1 brings one message at most, the newest."""
    task = await bench.ended()
    whole: list[Json] = (await bench.task(task["id"])).get("history") or []
    got = await bench.ask("GetTask", {"id": task["id"], "historyLength": 1})
    sent = await bench.ask("SendMessage", {"message": bench.message(), "configuration": {"historyLength": 1}})
    listed = await bench.ask("ListTasks", {"historyLength": 1, "pageSize": 5})
    for answer, found in ((got, [bench.result(got)]), (sent, _sent(sent)), (listed, _tasks(listed))):
        for each in found:
            bench.expect(len(each.get("history") or ()) <= 1, "HISTORY-AT-MOST", "one message at most", answer)
    newest: list[Json] = bench.result(got).get("history") or []
    bench.expect(not newest or not whole or newest == whole[-1:], "HISTORY-AT-MOST", "the newest message", got)


@check("HISTORY-NEGATIVE", "HISTORY-EVERYWHERE")
async def history_negative(bench: Bench) -> None:
    """A negative historyLength is a wrong parameter: in a get, a list and a send."""
    task = await bench.ended()
    calls: list[tuple[str, Json]] = [
        ("GetTask", {"id": task["id"], "historyLength": -1}),
        ("ListTasks", {"historyLength": -1}),
        ("SendMessage", {"message": bench.message(), "configuration": {"historyLength": -1}}),
    ]
    for method, params in calls:
        bench.refused(await bench.ask(method, params), "InvalidParams", "HISTORY-NEGATIVE")


def _sent(answer: Answer) -> list[Json]:
    return [answer.result["task"]] if is_object(answer.result) and "task" in answer.result else []


# -- lists -------------------------------------------------------------------------------------------------------------


def _tasks(answer: Answer) -> list[Json]:
    return objects(answer.result.get("tasks")) if is_object(answer.result) else []


async def _some(bench: Bench) -> tuple[str, list[str]]:
    """A context with three tasks, and their ids in the order of their making."""
    context = unknown_id()
    made = [await bench.fresh(contextId=context) for _ in range(3)]
    if any(each.get("contextId") != context for each in made):
        raise Unchecked("the server does not keep the contexts of clients")
    return context, [each["id"] for each in made]


@check("LIST-REQUIRED", "LIST-NEXT-TOKEN", bindings=HTTP)
async def list_fields(bench: Bench) -> None:
    """A list always has tasks, nextPageToken, pageSize and totalSize, also when there are no tasks."""
    for params in ({"pageSize": 1}, {"contextId": unknown_id()}):
        answer = await bench.ask("ListTasks", params)
        result = bench.result(answer, "LIST-REQUIRED")
        for name in _REQUIRED:
            rule = "LIST-NEXT-TOKEN" if name == "nextPageToken" else "LIST-REQUIRED"
            bench.expect(result.get(name) is not None, rule, name, answer)
        bench.well_formed("ListTasksResponse", result, answer)


@check("LIST-BY-CONTEXT", "LIST-TOTAL")
async def list_by_context(bench: Bench) -> None:
    """contextId leaves the tasks of that context, and totalSize counts them all."""
    context, ids = await _some(bench)
    answer = await bench.ask("ListTasks", {"contextId": context, "pageSize": 2})
    total = bench.result(answer, "LIST-BY-CONTEXT").get("totalSize")
    bench.expect(total == len(ids), "LIST-TOTAL", f"totalSize {len(ids)}", answer)
    bench.expect(len(_tasks(answer)) == 2, "LIST-BY-CONTEXT", "two of the three tasks", answer)
    bench.expect({each["id"] for each in _tasks(answer)} <= set(ids), "LIST-BY-CONTEXT", "tasks of the context", answer)
    none = await bench.ask("ListTasks", {"contextId": unknown_id()})
    bench.expect(not _tasks(none), "LIST-BY-CONTEXT", "no tasks in an unknown context", none)


@check("LIST-ORDER", "LIST-CURSOR", "LIST-EQUAL-TIMES", "LIST-NEXT-TOKEN")
async def list_pages(bench: Bench) -> None:
    """Pages show every task once, newest first, also when a task comes between two of them."""
    context, ids = await _some(bench)
    seen: list[Json] = []
    token = ""
    for number in range(8):
        page = {"contextId": context, "pageSize": 1, **({"pageToken": token} if token else {})}
        answer = await bench.ask("ListTasks", page)
        seen += _tasks(answer)
        token = str(bench.result(answer, "LIST-CURSOR").get("nextPageToken") or "")
        if not token:
            break
        if number == 0:
            await bench.fresh(contextId=context)
    shown = [each["id"] for each in seen if each["id"] in ids]  # the one that came between may be seen or not
    bench.expect(not token, "LIST-NEXT-TOKEN", "an empty token behind the last task", f"after 8 pages: {token!r}")
    bench.expect(sorted(shown) == sorted(ids), "LIST-CURSOR", f"each once: {sorted(ids)}", str(sorted(shown)))
    times = [str(each["status"].get("timestamp", "")) for each in seen]
    bench.expect(times == sorted(times, reverse=True), "LIST-ORDER", "times that fall", str(times))


@check("LIST-SIZE-RANGE")
async def list_size_range(bench: Bench) -> None:
    """A page size below 1 or above 100 is a wrong parameter."""
    for size in (-1, 0, 101):
        answer = await bench.ask("ListTasks", {"pageSize": size})
        bench.refused(answer, "InvalidParams", "LIST-SIZE-RANGE")


@check("LIST-DEFAULT-SIZE")
async def list_default_size(bench: Bench) -> None:
    """A page holds 50 tasks at most when no size is asked for."""
    answer = await bench.ask("ListTasks")
    bench.result(answer, "LIST-DEFAULT-SIZE")
    bench.expect(len(_tasks(answer)) <= 50, "LIST-DEFAULT-SIZE", "50 tasks at most", answer)


@check("LIST-NO-ARTIFACTS", "LIST-ARTIFACTS")
async def list_artifacts(bench: Bench) -> None:
    """Artifacts are in a list only when includeArtifacts asks for them; else the field is left out."""
    task = await bench.ended()
    for asked in ({}, {"includeArtifacts": False}):
        answer = await bench.ask("ListTasks", {"contextId": task.get("contextId"), **asked})
        bench.result(answer, "LIST-NO-ARTIFACTS")
        for each in _tasks(answer):
            bench.expect("artifacts" not in each, "LIST-NO-ARTIFACTS", "no field artifacts", answer)
    if not task.get("artifacts"):
        return
    answer = await bench.ask("ListTasks", {"contextId": task.get("contextId"), "includeArtifacts": True})
    found = [each for each in _tasks(answer) if each.get("id") == task["id"]]
    ids = [each.get("artifactId") for each in found[0].get("artifacts") or ()] if found else []
    whole = ids == [each["artifactId"] for each in task["artifacts"]]
    bench.expect(whole, "LIST-ARTIFACTS", "the artifacts of the task", answer)


@check("LIST-BY-STATUS")
async def list_by_status(bench: Bench) -> None:
    """status leaves the tasks in that state."""
    task = await bench.ended()
    for name in _STATES:
        state = f"TASK_STATE_{name}"
        answer = await bench.ask("ListTasks", {"status": state, "contextId": task.get("contextId")})
        bench.result(answer, "LIST-BY-STATUS")
        ids = [each.get("id") for each in _tasks(answer) if state_in(each) == state]
        bench.expect(len(ids) == len(_tasks(answer)), "LIST-BY-STATUS", f"only tasks that are {state}", answer)
        there = task["id"] in ids
        bench.expect(there is (state == state_in(task)), "LIST-BY-STATUS", f"{task['id']} where it belongs", answer)


@check("LIST-BY-TIME")
async def list_by_time(bench: Bench) -> None:
    """statusTimestampAfter leaves the tasks whose status changed after that time; what is no time is refused."""
    task = await bench.ended()
    said = str(task["status"].get("timestamp", ""))
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        raise Unchecked(f"the status has no time: {said!r}") from None
    for shift, there in ((timedelta(seconds=-1), True), (timedelta(seconds=1), False)):
        after = (time + shift).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answer = await bench.ask("ListTasks", {"statusTimestampAfter": after, "contextId": task.get("contextId")})
        bench.result(answer, "LIST-BY-TIME")
        found = task["id"] in [each.get("id") for each in _tasks(answer)]
        words = f"a list {'with' if there else 'without'} the task of {said}"
        bench.expect(found is there, "LIST-BY-TIME", words, answer)


@check("DATA-MILLISECONDS", bindings=HTTP)
async def milliseconds(bench: Bench) -> None:
    """Times are written with milliseconds."""
    await bench.ended()
    answer = await bench.ask("ListTasks", {"pageSize": 20})
    times = [str(each.get("status", {}).get("timestamp", "")) for each in _tasks(answer)]
    # One may fall on a whole second, and be written without a fraction.
    fine = any(len(time.rpartition(".")[2].rstrip("Z")) >= 3 for time in times if "." in time)
    bench.expect(fine or not times, "DATA-MILLISECONDS", "three digits behind the second", answer)


@check("DATA-TIMES-READ", bindings=HTTP)
async def list_by_no_time(bench: Bench) -> None:
    """What is no time is a wrong parameter."""
    answer = await bench.ask("ListTasks", {"statusTimestampAfter": "yesterday"})
    bench.refused(answer, "InvalidParams", "DATA-TIMES-READ")


@check("LIST-BAD-TOKEN")
async def list_bad_token(bench: Bench) -> None:
    """A page token that was forged is a wrong parameter."""
    answer = await bench.ask("ListTasks", {"pageToken": "codin-check-forged"})
    bench.refused(answer, "InvalidParams", "LIST-BAD-TOKEN")


# -- cancel ------------------------------------------------------------------------------------------------------------


@check("CANCEL-UNKNOWN", "CANCEL-METADATA")
async def cancel_unknown(bench: Bench) -> None:
    """A task that is not there cannot be canceled: TaskNotFound; metadata may come along."""
    for more in ({}, {"metadata": {"why": "a check"}}):
        answer = await bench.ask("CancelTask", {"id": unknown_id(), **more})
        bench.refused(answer, "TaskNotFound", "CANCEL-UNKNOWN")


@check("CANCEL-ENDED")
async def cancel_ended(bench: Bench) -> None:
    """A task that completed, failed or was rejected is TaskNotCancelable."""
    task = await bench.ended()
    if state_in(task) == "TASK_STATE_CANCELED":
        raise Unchecked("the only task that has ended was canceled; --message TEXT may be one that completes")
    bench.refused(await bench.ask("CancelTask", {"id": task["id"]}), "TaskNotCancelable", "CANCEL-ENDED")


@check("CANCEL-UPDATED", "CANCEL-AGAIN")
async def cancel(bench: Bench) -> None:
    """A task that is canceled is answered as it is then, and stays canceled when it is canceled again."""
    task = await bench.unfinished()
    answer = await bench.ask("CancelTask", {"id": task["id"]})
    await bench.unless_ended(answer, task["id"])
    bench.expect(bench.result(answer, "CANCEL-UPDATED").get("id") == task["id"], "CANCEL-UPDATED", "the task", answer)
    canceled = state_in(bench.result(answer))
    if canceled != "TASK_STATE_CANCELED":
        raise Unchecked(f"the agent did not stop: the task is {canceled}")
    again = await bench.ask("CancelTask", {"id": task["id"]})
    if again.refusal is not None:  # 3.1.5 counts it among those that cannot be canceled, 3.3.1 does not
        bench.refused(again, "TaskNotCancelable", "CANCEL-AGAIN")
    now = await bench.ask("GetTask", {"id": task["id"]})
    bench.expect(state_in(bench.result(now)) == canceled, "CANCEL-AGAIN", str(canceled), now)
