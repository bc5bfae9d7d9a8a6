"""Streams and subscriptions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import anyio

from codin.cli.check._answer import Answer
from codin.cli.check._bench import ENDED, NO_TASK, Bench, unknown_id
from codin.cli.check._check import HTTP, check
from codin.cli.check._json import Json, is_object
from codin.cli.check._rest import RestWire
from codin.cli.check._verdict import Finding, Unchecked
from codin.cli.check._wire import at_rest, state_in

_UPDATES = {"statusUpdate", "artifactUpdate"}


async def _stream(bench: Bench, **configuration: Any) -> Answer:
    params = {"message": bench.message(), **({"configuration": configuration} if configuration else {})}
    answer = await bench.ask("SendStreamingMessage", params)
    bench.expect(answer.streamed and bool(answer.events), "STREAM-TASK-FIRST", "a stream with events", answer)
    return answer


def _nothing(event: Json) -> bool:
    return False


def _anything(event: Json) -> bool:
    return True


def _closed(answer: Answer) -> bool:
    """The stream was closed, or left because the task waits."""
    return answer.ended or at_rest(answer.events[-1])


@check("STREAM-TASK-FIRST", "STREAM-MESSAGE", "STREAM-UPDATES", "GRPC-STREAM", needs="streaming")
async def order_of_a_stream(bench: Bench) -> None:
    """A stream is one message, or a task and updates of that task."""
    answer = await _stream(bench)
    first, *rest = answer.events
    kinds = [next(iter(event), "") for event in rest]
    if "message" in first:
        bench.expect(not rest and answer.ended, "STREAM-MESSAGE", "one message, and the end", answer)
        return
    bench.expect("task" in first, "STREAM-TASK-FIRST", "a task first", answer)
    # Section 11.7 lets the task come once more at the end.
    bench.expect(set(kinds[:-1]) <= _UPDATES, "STREAM-UPDATES", "updates behind the task", answer)
    bench.expect(not kinds or kinds[-1] in {*_UPDATES, "task"}, "STREAM-UPDATES", "updates behind the task", answer)
    task = first["task"]
    for update in (event[kind] for event, kind in zip(rest, kinds, strict=True) if kind in _UPDATES):
        same = (update.get("taskId"), update.get("contextId")) == (task.get("id"), task.get("contextId"))
        bench.expect(same, "STREAM-UPDATES", "the ids of the task in every update", f"{update} of {task.get('id')}")


@check("STREAM-ENDS", "STATE-NO-RETURN", needs="streaming")
async def end_of_a_stream(bench: Bench) -> None:
    """A stream closes when its task has ended, and nothing comes behind that."""
    answer = await _stream(bench)
    if "message" in answer.events[0]:
        raise Unchecked(NO_TASK)
    bench.expect(_closed(answer), "STREAM-ENDS", "a stream that is closed", answer)
    states = [state_in(event) for event in answer.events]
    ends = [number for number, event in enumerate(answer.events) if "task" not in event and states[number] in ENDED]
    later = [event for event in answer.events[ends[0] + 1 :] if "task" not in event] if ends else []
    bench.expect(not later, "STATE-NO-RETURN", "nothing behind the end", answer)
    if answer.ended:
        bench.expect(states[-1] in ENDED or at_rest(answer.events[-1]), "STREAM-ENDS", "the end of the task", answer)


@check("DATA-ONE-EVENT", "DATA-FIELDS", "DATA-REQUIRED", "DATA-ENUMS", needs="streaming")
async def shape_of_events(bench: Bench) -> None:
    """Every event of a stream holds one object, with the fields of the proto."""
    answer = await _stream(bench)
    for event in answer.events:
        bench.well_formed("StreamResponse", event, answer)


@check("STREAM-ORDER", needs="streaming")
async def stream_adds_up(bench: Bench) -> None:
    """What a stream tells comes to the task as GetTask shows it then."""
    answer = await _stream(bench)
    task: Any = answer.events[0].get("task")
    if task is None:
        raise Unchecked(NO_TASK)
    now = await bench.ask("GetTask", {"id": task["id"]})
    told, stored = _folded(answer.events), _texts(bench.result(now, "GET-STATE").get("artifacts") or ())
    bench.expect(told == stored, "STREAM-ORDER", f"as in the stream: {json.dumps(told)[:200]}", now)
    state = next(found for event in reversed(answer.events) if (found := state_in(event)))
    bench.expect(state_in(bench.result(now)) == state, "STREAM-ORDER", f"the last state of the stream: {state}", now)


def _folded(events: Iterable[Json]) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in events:
        if "task" in event:
            found = _texts(event["task"].get("artifacts") or ())
        elif "artifactUpdate" in event:
            update = event["artifactUpdate"]
            ((id, text),) = _texts([update["artifact"]]).items()
            found[id] = found.get(id, "") + text if update.get("append") else text
    return found


def _texts(artifacts: Iterable[Json]) -> dict[str, str]:
    return {each["artifactId"]: "".join(part.get("text", "") for part in each.get("parts", ())) for each in artifacts}


@check("RPC-STREAM", bindings=("JSONRPC",), needs="streaming")
async def stream_of_answers(bench: Bench) -> None:
    """A stream is text/event-stream, and every event a whole answer with the id of the call."""
    answer = await _stream(bench)
    bench.expect(answer.media_type == "text/event-stream", "RPC-STREAM", "text/event-stream", answer.media_type)
    for raw in answer.raw_events:
        whole = is_object(raw) and raw.get("jsonrpc") == "2.0" and raw.get("id") == "check-1"
        bench.expect(whole, "RPC-STREAM", 'jsonrpc "2.0" and id "check-1"', json.dumps(raw)[:200])


@check("REST-STREAM", bindings=("HTTP+JSON",), needs="streaming")
async def stream_of_objects(bench: Bench) -> None:
    """A stream is text/event-stream, and every event a bare StreamResponse."""
    answer = await _stream(bench)
    bench.expect(answer.media_type == "text/event-stream", "REST-STREAM", "text/event-stream", answer.media_type)
    kinds = {"task", "message", *_UPDATES}
    for raw in answer.raw_events:
        bare = is_object(raw) and not raw.keys() - kinds
        bench.expect(bool(bare), "REST-STREAM", f"one of {', '.join(sorted(kinds))}", json.dumps(raw)[:200])


@check("SEND-IMMEDIATELY-STREAM", needs="streaming")
async def streams_do_not_hurry(bench: Bench) -> None:
    """returnImmediately changes nothing about a stream: it tells everything to the end."""
    answer = await _stream(bench, returnImmediately=True)
    whole = "message" in answer.events[0] or (_closed(answer) and state_in(answer.events[-1]) in ENDED | {None})
    whole = whole or at_rest(answer.events[-1])
    bench.expect(whole, "SEND-IMMEDIATELY-STREAM", "a stream to the end of the task", answer)


def _ordinary(bench: Bench, answer: Answer, rule: str = "STREAM-REFUSED") -> None:
    bench.expect(not answer.streamed, rule, "an ordinary body, no stream", answer)


@check("STREAM-UNKNOWN-TASK", "STREAM-REFUSED", needs="streaming")
async def stream_unknown_task(bench: Bench) -> None:
    """A streamed message to a task that is not there is TaskNotFound, in an ordinary body."""
    answer = await bench.ask("SendStreamingMessage", {"message": bench.message(taskId=unknown_id())})
    await bench.refused_as_unknown(answer, "STREAM-UNKNOWN-TASK")
    _ordinary(bench, answer)


@check("STREAM-ENDED-TASK", "STREAM-REFUSED", needs="streaming")
async def stream_ended_task(bench: Bench) -> None:
    """A streamed message to a task that has ended is UnsupportedOperation, in an ordinary body."""
    task = await bench.ended()
    message = bench.message(taskId=task["id"], contextId=task.get("contextId"))
    answer = await bench.ask("SendStreamingMessage", {"message": message})
    bench.refused(answer, "UnsupportedOperation", "STREAM-ENDED-TASK")
    _ordinary(bench, answer)


@check("STREAM-REFUSED", "ERROR-VALIDATED", bindings=HTTP, needs="streaming")
async def stream_without_a_message(bench: Bench) -> None:
    """A stream without a message is a wrong parameter, in an ordinary body."""
    answer = await bench.ask("SendStreamingMessage", {})
    bench.refused(answer, "InvalidParams", "ERROR-VALIDATED")
    _ordinary(bench, answer)


@check("STREAM-DECLARED", lacks="streaming")
async def stream_undeclared(bench: Bench) -> None:
    """Where streaming is not declared, both ways to a stream are UnsupportedOperation."""
    for method, params in (
        ("SendStreamingMessage", {"message": bench.message()}),
        ("SubscribeToTask", {"id": unknown_id()}),
    ):
        bench.refused(await bench.ask(method, params), "UnsupportedOperation", "STREAM-DECLARED")


@check("SUBSCRIBE-UNKNOWN", needs="streaming")
async def subscribe_unknown(bench: Bench) -> None:
    """A task that is not there cannot be subscribed to: TaskNotFound, in an ordinary body."""
    answer = await bench.ask("SubscribeToTask", {"id": unknown_id()})
    bench.refused(answer, "TaskNotFound", "SUBSCRIBE-UNKNOWN")
    _ordinary(bench, answer)


@check("SUBSCRIBE-ENDED", needs="streaming")
async def subscribe_ended(bench: Bench) -> None:
    """A task that has ended cannot be subscribed to: UnsupportedOperation, in an ordinary body."""
    task = await bench.ended()
    answer = await bench.ask("SubscribeToTask", {"id": task["id"]})
    bench.refused(answer, "UnsupportedOperation", "SUBSCRIBE-ENDED")
    _ordinary(bench, answer)


@check("SUBSCRIBE-TASK-FIRST", "SUBSCRIBE-ANY", "SUBSCRIBE-ENDS", needs="streaming")
async def subscribe(bench: Bench) -> None:
    """A task that was sent without a stream can be subscribed to: the task first, and the end when it ends."""
    task = await bench.unfinished()
    answer = await _followed_to_a_cancel(bench, task["id"])
    await bench.unless_ended(answer, task["id"])
    bench.expect(bool(answer.events), "SUBSCRIBE-ANY", "a stream", answer)
    first: Any = answer.events[0].get("task") or {}
    bench.expect(first.get("id") == task["id"], "SUBSCRIBE-TASK-FIRST", "the task first", answer)
    now = state_in(await bench.task(task["id"]))
    if now not in ENDED:
        raise Unchecked(f"the agent did not stop: the task is {now}")
    told = answer.ended and state_in(answer.events[-1]) == now
    bench.expect(told, "SUBSCRIBE-ENDS", f"a stream that tells {now} and closes", answer)


async def _followed_to_a_cancel(bench: Bench, id: str) -> Answer:
    """A subscription, which sees how the task is canceled."""
    begun = anyio.Event()
    found: list[Answer] = []

    async def follow() -> None:
        found.append(await bench.wire.ask("SubscribeToTask", {"id": id}, enough=_nothing, begun=begun))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        await begun.wait()
        if not found:  # else it was refused, and the task is left for who wants to know why
            await bench.ask("CancelTask", {"id": id})
    return found[0]


@check("STREAM-SAME-FOR-ALL", "STREAM-BROADCAST", "STREAM-CLOSED-ALONE", needs="streaming")
async def several_streams(bench: Bench) -> None:
    """All streams of a task tell the same, and one that is closed takes no other with it."""
    task = await bench.lasting()
    begun = [anyio.Event(), anyio.Event()]
    found: list[list[Json]] = []

    async def follow(event: anyio.Event) -> None:
        answer = await bench.wire.ask("SubscribeToTask", {"id": task["id"]}, begun=event)
        found.append(answer.events)

    async with anyio.create_task_group() as group:
        for event in begun:
            group.start_soon(follow, event)
        for event in begun:
            await event.wait()
        await bench.ask("SubscribeToTask", {"id": task["id"]}, enough=_anything)  # and left at once
        await bench.ask("CancelTask", {"id": task["id"]})
    if min(map(len, found)) < 2:
        raise Unchecked("nothing came any more when there were two streams")
    # They may have begun one after the other; the later one has no more than the earlier.
    one, other = sorted((events[1:] for events in found), key=len)
    bench.expect(other[len(other) - len(one) :] == one, "STREAM-SAME-FOR-ALL", f"as in the other: {other}", str(one))


@check("STREAM-OUTLIVED", needs="streaming")
async def stream_that_is_left(bench: Bench) -> None:
    """A task goes on when its stream is left."""
    await bench.lasting()
    left = await bench.ask("SendStreamingMessage", {"message": bench.message(bench.wishes.lasts)}, enough=_anything)
    task: Any = left.events[0].get("task") if left.events else None
    if task is None:
        raise Unchecked(f"the stream did not begin with a task: {left.received}")
    now = await bench.ask("GetTask", {"id": task["id"]})
    lives = state_in(bench.result(now)) not in {"TASK_STATE_CANCELED", "TASK_STATE_FAILED"}
    bench.expect(lives, "STREAM-OUTLIVED", "a task that goes on", now)


@check("REST-SUBSCRIBE", bindings=("HTTP+JSON",), needs="streaming")
async def subscribe_by_both_verbs(bench: Bench) -> None:
    """A subscription is asked for with POST, and with GET as the proto has it."""
    wire = bench.wire
    assert isinstance(wire, RestWire)
    fields = {**wire.caller.plain, "A2A-Version": "1.0"}
    task = await bench.ended()
    for verb in ("POST", "GET"):
        answer = await wire.go(verb, "/tasks/{id}:subscribe", {"id": task["id"]}, fields, "SubscribeToTask")
        known = answer.refusal is not None and answer.status == 400
        if verb == "POST":
            bench.expect(known, "REST-SUBSCRIBE", "UnsupportedOperation, as for any task that has ended", answer)
        elif not known:
            bench.wish(Finding.of("REST-SUBSCRIBE", "GET as well: the proto has it, and clients use it", answer))
