"""Sending a message, contexts, and the ids of tasks."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import anyio

from codin.cli.check._bench import ENDED, NO_TASK, Bench, unknown_id
from codin.cli.check._check import HTTP, check
from codin.cli.check._json import Json, is_list
from codin.cli.check._verdict import Finding, Unchecked
from codin.cli.check._wire import state_in

_RESTING = ENDED | {"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"}
_PAUSE = 0.05


@check("SEND-ONE-ANSWER")
async def one_answer(bench: Bench) -> None:
    """A message is answered with a task or with a message."""
    answer = await bench.first()
    result = bench.result(answer)
    one = len({"task", "message"} & set(result)) == 1
    bench.expect(one, "SEND-ONE-ANSWER", "exactly one of task and message", answer)


@check("SEND-BLOCKING")
async def waits_for_the_end(bench: Bench) -> None:
    """A send is answered when the task has ended or waits for the client."""
    answer = await bench.first()
    task = bench.result(answer).get("task")
    if task is None:
        raise Unchecked(NO_TASK)
    bench.expect(state_in(task) in _RESTING, "SEND-BLOCKING", "a task that has ended or waits", answer)


@check(
    "DATA-FIELDS",
    "DATA-REQUIRED",
    "DATA-CAMEL-CASE",
    "DATA-ENUMS",
    "DATA-UTC",
    "DATA-BASE64",
    "DATA-NOT-EMPTY",
    "DATA-ONE-CONTENT",
)
async def shape_of_an_answer(bench: Bench) -> None:
    """The answer to a send has the fields of the proto, in their spelling."""
    answer = await bench.first()
    bench.well_formed("SendMessageResponse", bench.result(answer), answer)


@check("SEND-LATEST-STATE", "GET-STATE")
async def same_as_get(bench: Bench) -> None:
    """The answer to a send is the task as GetTask shows it then."""
    answer = await bench.first()
    task: Any = bench.result(answer).get("task")
    if task is None:
        raise Unchecked(NO_TASK)
    got = await bench.ask("GetTask", {"id": task["id"]})
    now = bench.result(got, "GET-STATE")
    bench.well_formed("Task", now, got)
    for field in ("id", "contextId", "artifacts", "status"):
        same = now.get(field) == task.get(field) or (field == "status" and bench.opened)
        bench.expect(bool(same), "SEND-LATEST-STATE", f"the same {field} as {str(task.get(field))[:120]}", got)


@check("GET-AGAIN")
async def get_again(bench: Bench) -> None:
    """Reading a task changes nothing."""
    task = await bench.ended()
    once = await bench.task(task["id"])
    again = await bench.ask("GetTask", {"id": task["id"]})
    bench.expect(again.result == once, "GET-AGAIN", "the same task", again)


@check("SEND-RESULTS-IN-ARTIFACTS")
async def results_in_artifacts(bench: Bench) -> None:
    """A completed task has its results in artifacts."""
    answer = await bench.first()
    task: Any = bench.result(answer).get("task")
    if task is None or state_in(task) != "TASK_STATE_COMPLETED":
        raise Unchecked("no task was completed")
    bench.expect(bool(task.get("artifacts")), "SEND-RESULTS-IN-ARTIFACTS", "artifacts", answer)


@check("SEND-IMMEDIATELY", "SEND-GOES-ON")
async def answers_at_once(bench: Bench) -> None:
    """With returnImmediately the task is answered while it is worked on, and the work goes on."""
    if bench.wishes.lasts is None:
        raise Unchecked("needs a task that is worked on for a while; --lasts TEXT is a message that makes one")
    answer = await bench.begin(bench.wishes.lasts)
    if "message" in bench.result(answer):
        raise Unchecked(NO_TASK)
    task: Any = bench.result(answer).get("task") or {}
    bench.expect("id" in task and state_in(task) not in ENDED, "SEND-IMMEDIATELY", "a task at work", answer)
    with anyio.move_on_after(bench.wishes.timeout):
        while state_in(await bench.task(task["id"])) not in _RESTING:  # noqa: ASYNC110
            await anyio.sleep(_PAUSE)  # the other side has no event for us
        return
    raise Unchecked(f"the task had not ended after {bench.wishes.timeout:g} s; --timeout waits longer")


@check("SEND-IMMEDIATELY", "SEND-IMMEDIATELY-MESSAGE")
async def at_once_is_a_task(bench: Bench) -> None:
    """A message with returnImmediately is answered with a task or a message as well."""
    answer = await bench.begin()
    one = len({"task", "message"} & set(bench.result(answer))) == 1
    bench.expect(one, "SEND-IMMEDIATELY", "exactly one of task and message", answer)


@check("TASK-MADE", "TASK-TOLD", "CONTEXT-MADE")
async def ids_are_made(bench: Bench) -> None:
    """Every task has an id of its own, and every answer names its context."""
    answer = await bench.first()
    result = bench.result(answer)
    holder: Json = result.get("task") or result.get("message") or {}
    bench.expect(bool(holder.get("contextId")), "CONTEXT-MADE", "a contextId", answer)
    if "task" in result:
        other = await bench.fresh()
        bench.expect(bool(holder.get("id")), "TASK-TOLD", "an id of the task", answer)
        bench.expect(other["id"] != holder["id"], "TASK-MADE", "two ids for two tasks", other["id"])


@check("CONTEXT-KEPT", "CONTEXT-NOT-REPLACED", "CONTEXT-NEW-TASK")
async def context_is_kept(bench: Bench) -> None:
    """A context that the client names is kept or refused, and a message in it begins a new task."""
    context = unknown_id()
    first = await bench.send(contextId=context)
    if first.refusal is not None:
        raise Unchecked(f"the server takes no contexts of clients: {first.received}")
    ids: list[str] = []
    for answer in (first, await bench.send(contextId=context)):
        result = bench.result(answer)
        holder: Json = result.get("task") or result.get("message") or {}
        kept = holder.get("contextId") == context
        bench.expect(kept, "CONTEXT-NOT-REPLACED", f"contextId {context}", answer)
        ids.append(str(holder.get("id")))
        bench.expect("task" not in result or len(set(ids)) == len(ids), "CONTEXT-NEW-TASK", "a new task", answer)


@check("TASK-UNKNOWN")
async def unknown_task(bench: Bench) -> None:
    """A message to a task that is not there is refused with TaskNotFound, and makes none."""
    id = unknown_id()
    await bench.refused_as_unknown(await bench.send(taskId=id), "TASK-UNKNOWN")
    bench.refused(await bench.ask("GetTask", {"id": id}), "TaskNotFound", "TASK-UNKNOWN")


@check("GET-UNKNOWN")
async def get_unknown(bench: Bench) -> None:
    """A task that is not there is TaskNotFound."""
    bench.refused(await bench.ask("GetTask", {"id": unknown_id()}), "TaskNotFound", "GET-UNKNOWN")


@check("SEND-ENDED-TASK")
async def message_to_ended(bench: Bench) -> None:
    """A message to a task that has ended is refused with UnsupportedOperation."""
    task = await bench.ended()
    answer = await bench.send(taskId=task["id"], contextId=task.get("contextId"))
    bench.refused(answer, "UnsupportedOperation", "SEND-ENDED-TASK")
    now = await bench.task(task["id"])
    bench.expect(state_in(now) == state_in(task), "SEND-ENDED-TASK", f"a task that stays {state_in(task)}", str(now))


@check("CONTEXT-INFERRED", "STATE-INPUT")
async def context_is_inferred(bench: Bench) -> None:
    """A message that names a waiting task alone goes on with that task in its context."""
    task = await bench.waiting()
    answer = await bench.send(taskId=task["id"])
    now: Any = bench.result(answer, "STATE-INPUT").get("task") or {}
    bench.expect(now.get("id") == task["id"], "STATE-INPUT", f"the task {task['id']}", answer)
    kept = now.get("contextId") == task.get("contextId")
    bench.expect(kept, "CONTEXT-INFERRED", f"contextId {task.get('contextId')}", answer)
    for message in now.get("history") or ():
        said = message.get("contextId")
        words = f"contextId {task.get('contextId')} in every message; {message.get('messageId')} has {said}"
        bench.expect(said in (None, "", task.get("contextId")), "CONTEXT-INFERRED", words, answer)
    stored = await bench.ask("GetTask", {"id": task["id"]})
    right = bench.result(stored, "GET-STATE").get("contextId") == task.get("contextId")
    bench.expect(right, "CONTEXT-INFERRED", f"contextId {task.get('contextId')}", stored)
    failed = state_in(bench.result(stored, "GET-STATE")) == "TASK_STATE_FAILED"
    bench.expect(not failed, "STATE-INPUT", "a task that goes on", stored)


@check("CONTEXT-MISMATCH")
async def context_mismatch(bench: Bench) -> None:
    """A message whose context is not that of its task is refused, and leaves no trace."""
    task = await bench.waiting()  # one that is worked on may be refused for that
    message = bench.message(taskId=task["id"], contextId=unknown_id())
    bench.any_refusal(await bench.ask("SendMessage", {"message": message}), "CONTEXT-MISMATCH")
    now = await bench.ask("GetTask", {"id": task["id"]})
    stored = message["messageId"] in {each.get("messageId") for each in bench.result(now).get("history") or ()}
    bench.expect(not stored, "CONTEXT-MISMATCH", "a history without the refused message", now)


@check("SEND-STATUS-MESSAGE")
async def question_in_the_status(bench: Bench) -> None:
    """What the agent asks is the message of the status."""
    task = await bench.waiting()
    status: Any = task["status"]
    bench.expect(bool(status.get("message")), "SEND-STATUS-MESSAGE", "status.message", str(status))


@check("SEND-MEDIA-TYPE", "STREAM-MEDIA-TYPE")
async def media_type_of_a_part(bench: Bench) -> None:
    """A part of a media type that the agent does not take is refused with ContentTypeNotSupported."""
    modes = [*_modes(bench.agent.card, "defaultInputModes")]
    for skill in bench.agent.listed("skills"):
        modes += _modes(skill, "inputModes")
    if any("*" in mode or not mode for mode in modes):
        raise Unchecked(f"the card takes any media type: {', '.join(modes)}")
    part = {"raw": b64encode(b"codin check").decode(), "mediaType": "application/x-codin-check", "filename": "check"}
    methods = [("SendMessage", "SEND-MEDIA-TYPE")]
    methods += [("SendStreamingMessage", "STREAM-MEDIA-TYPE")] if bench.agent.declares("streaming") else []
    for method, rule in methods:
        answer = await bench.ask(method, {"message": {**bench.message(), "parts": [part]}})
        if answer.result is not None or answer.events:  # it may know more than its card says
            words = f"ContentTypeNotSupported: the card has only {', '.join(dict.fromkeys(modes))}"
            bench.wish(Finding.of(rule, words, answer))
        else:
            bench.refused(answer, "ContentTypeNotSupported", rule)


def _modes(holder: Json, name: str) -> list[str]:
    found: Any = holder.get(name)
    return [str(each) for each in found] if is_list(found) else []


@check("ERROR-VALIDATED")
async def message_missing(bench: Bench) -> None:
    """A send without a message is a wrong parameter."""
    bench.refused(await bench.ask("SendMessage", {}), "InvalidParams", "ERROR-VALIDATED")


@check("DATA-REQUIRED-CHECKED", "DATA-NOT-EMPTY")
async def message_incomplete(bench: Bench) -> None:
    """A message without parts, an id or a role is a wrong parameter."""
    for field in ("parts", "messageId", "role"):
        message = {name: value for name, value in bench.message().items() if name != field}
        answer = await bench.ask("SendMessage", {"message": message})
        bench.refused(answer, "InvalidParams", "DATA-REQUIRED-CHECKED")


@check("DATA-REQUIRED-CHECKED", "DATA-ONE-CONTENT", bindings=HTTP)
async def part_with_two_contents(bench: Bench) -> None:
    """A part that is a text and a URL at once, or neither, is a wrong parameter."""
    for part in ({"text": "a", "url": "https://example.com/"}, {"mediaType": "text/plain"}):
        answer = await bench.ask("SendMessage", {"message": {**bench.message(), "parts": [part]}})
        bench.refused(answer, "InvalidParams", "DATA-REQUIRED-CHECKED")


@check("DATA-UNKNOWN", bindings=HTTP)
async def unknown_fields(bench: Bench) -> None:
    """Fields that are not known are passed over."""
    params = {"message": bench.message(codinCheck={"a": 1}), "codinCheck": True}
    answer = await bench.ask("SendMessage", params)
    bench.expect(answer.result is not None, "DATA-UNKNOWN", "an answer as without the fields", answer)


@check("DATA-LENIENT", bindings=HTTP)
async def snake_case(bench: Bench) -> None:
    """Names in snake_case, and null for what is absent, are read."""
    message = {
        "message_id": unknown_id(),
        "role": "ROLE_USER",
        "parts": [{"text": bench.wishes.message, "filename": None}],
    }
    answer = await bench.ask("SendMessage", {"message": message, "metadata": None})
    bench.expect(answer.result is not None, "DATA-LENIENT", "an answer", answer)


@check("STATE-NO-RETURN")
async def ended_stays_ended(bench: Bench) -> None:
    """A task that has ended stays as it is, whatever is asked of it."""
    task = await bench.ended()
    await bench.ask("CancelTask", {"id": task["id"]})
    await bench.send(taskId=task["id"], contextId=task.get("contextId"))
    now = await bench.ask("GetTask", {"id": task["id"]})
    bench.expect(state_in(bench.result(now)) == state_in(task), "STATE-NO-RETURN", f"{state_in(task)}", now)
