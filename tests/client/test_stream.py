"""A stream is one stream for its reader, whatever happens to the connections under it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from codin import a2a
from codin.client import Event
from codin.errors import BadResponse, DeadlineExceeded, ResponseTooLarge, TransportError
from tests.client.scripted import BRIEF, PATIENT, Call, Script, message, now, piece, talking_to, task

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("spoken")]

SILENCE = 1.0  # seconds; a busy machine is not silent for so long


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


def states(events: list[Event]) -> list[str]:
    return [event.state.removeprefix("TASK_STATE_") if event.state else "" for event in events]


async def test_events_come_typed_with_the_task_so_far_and_the_new_text() -> None:
    async def step(call: Call) -> None:
        await call.stream(
            task("SUBMITTED"),
            now("WORKING"),
            piece("Hello, ", append=False),
            piece("world"),
            piece("Hello, world", append=False, lastChunk=True),
            now("COMPLETED"),
        )

    script = Script(step)
    async with talking_to(script) as peer:
        events = [event async for event in peer.stream("hi")]
    assert [event.kind for event in events] == ["task", "status", "artifact", "artifact", "artifact", "status"]
    assert [event.text for event in events] == ["", "", "Hello, ", "world", "", ""]
    assert states(events) == ["SUBMITTED", "WORKING", "WORKING", "WORKING", "WORKING", "COMPLETED"]
    # Read late, each still shows the task as it was then.
    texts = [
        a2a.text_of(event.task.artifacts[0].parts) if event.task and event.task.artifacts else "" for event in events
    ]
    assert texts == ["", "", "Hello, ", "Hello, world", "Hello, world", "Hello, world"]
    assert script.calls[0].headers["accept"] == "text/event-stream"
    assert script.calls[0].headers["a2a-version"] == "1.0"
    assert script.calls[0].headers["idempotency-key"]


async def test_a_message_is_the_whole_stream() -> None:
    async def step(call: Call) -> None:
        await call.stream(message("no task needed"))

    async with talking_to(Script(step)) as peer:
        (event,) = [event async for event in peer.stream("hi")]
    assert (event.kind, event.text, event.task, event.state) == ("message", "no task needed", None, None)


@pytest.mark.requirement("STREAM-CLIENT-INTERRUPTED")
@pytest.mark.parametrize("state", ["INPUT_REQUIRED", "COMPLETED", "FAILED", "CANCELED", "REJECTED"])
async def test_a_question_or_an_end_ends_the_stream_even_if_the_peer_keeps_it_open(state: str) -> None:
    async def step(call: Call) -> None:
        await call.begin()
        await call.events(task(), now(state, said="because"))
        await call.exchange.gone()

    async with talking_to(Script(step)) as peer, asyncio.timeout(PATIENT):
        events = [event async for event in peer.stream("hi")]
    assert states(events) == ["WORKING", state]
    assert said(events) == "because"


@pytest.mark.requirement("STREAM-CLIENT-INTERRUPTED", "STATE-AUTH-CLIENT")
async def test_a_wanted_credential_keeps_the_stream_open() -> None:
    async def step(call: Call) -> None:
        await call.stream(task(), now("AUTH_REQUIRED", said="log in "), now("WORKING"), piece("in"), now("COMPLETED"))

    async with talking_to(Script(step)) as peer:
        events = [event async for event in peer.stream("hi")]
    assert states(events) == ["WORKING", "AUTH_REQUIRED", "WORKING", "WORKING", "COMPLETED"]
    assert said(events) == "log in in"


@pytest.mark.requirement("STREAM-CLIENT-INTERRUPTED")
async def test_a_peer_may_close_the_stream_when_it_wants_a_credential() -> None:
    async def step(call: Call) -> None:
        await call.stream(task(), now("AUTH_REQUIRED"))

    script = Script(step)
    async with talking_to(script) as peer:
        events = [event async for event in peer.stream("hi")]
    assert states(events) == ["WORKING", "AUTH_REQUIRED"]
    assert len(script.calls) == 1


async def test_the_past_of_a_task_that_goes_on_is_not_its_answer() -> None:
    async def step(call: Call) -> None:
        await call.stream(
            task("INPUT_REQUIRED", text="draft ", said="long or short?"),
            now("WORKING"),
            piece("final"),
            now("COMPLETED"),
        )

    async with talking_to(Script(step)) as peer:
        events = [event async for event in peer.stream("short", task_id="t")]
    assert said(events) == "final"
    assert states(events)[-1] == "COMPLETED"


# Cut against a plain server: snapshot and difference.


@pytest.mark.requirement("STREAM-CLIENT-CUT")
async def test_a_cut_stream_goes_on_with_what_is_missing() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one ", append=False), piece("two "))
        call.cut()

    async def again(call: Call) -> None:
        await call.stream(task(text="one two three "), piece("four"), now("COMPLETED"))

    script = Script(cut, again)
    async with talking_to(script) as peer:
        events = [event async for event in peer.stream("count")]
    assert [event.text for event in events] == ["", "one ", "two ", "three ", "four", ""]
    assert script.methods == ["SendStreamingMessage", "SubscribeToTask"]
    assert script.calls[1].params == {"id": "t"}
    last = events[-1].task
    assert last is not None
    assert a2a.text_of(last.artifacts[0].parts) == "one two three four"


@pytest.mark.requirement("STREAM-CLIENT-CUT")
async def test_nothing_is_told_twice_when_nothing_was_missed() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one ", append=False), piece("two"))
        call.cut()

    async def again(call: Call) -> None:
        # This server keeps the pieces apart, which is another spelling of the same text.
        parts = [{"text": "one "}, {"text": "two"}]
        await call.stream(task(artifacts=[{"artifactId": "a", "parts": parts}]), now("COMPLETED"))

    async with talking_to(Script(cut, again)) as peer:
        events = [event async for event in peer.stream("count")]
    assert [event.kind for event in events] == ["task", "artifact", "artifact", "status"]


async def test_a_stream_that_is_closed_too_early_is_cut() -> None:
    async def closed(call: Call) -> None:
        await call.stream(task(), piece("one "))

    async def again(call: Call) -> None:
        await call.stream(task(text="one "), piece("two"), now("COMPLETED"))

    script = Script(closed, again)
    async with talking_to(script) as peer:
        events = [event async for event in peer.stream("count")]
    assert said(events) == "one two"
    assert script.methods == ["SendStreamingMessage", "SubscribeToTask"]


@pytest.mark.parametrize("refusal", [a2a.UnsupportedOperation("terminal"), a2a.TaskNotFound("no longer live")])
async def test_a_task_that_ended_meanwhile_is_fetched(refusal: a2a.A2AError) -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one "))
        call.cut()

    async def refuse(call: Call) -> None:
        await call.error(refusal)

    async def get(call: Call) -> None:
        await call.result(task("COMPLETED", text="one two")["task"])

    script = Script(cut, refuse, get)
    async with talking_to(script) as peer:
        events = [event async for event in peer.stream("count")]
    assert [event.text for event in events] == ["", "one ", "two"]
    assert states(events)[-1] == "COMPLETED"
    assert script.methods == ["SendStreamingMessage", "SubscribeToTask", "GetTask"]


async def test_a_task_that_is_gone_is_reported_as_such() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.event(task())
        call.cut()

    async def gone(call: Call) -> None:
        await call.error(a2a.TaskNotFound("t"))

    async with talking_to(Script(cut, gone, gone)) as peer:
        with pytest.raises(a2a.TaskNotFound):
            async for _ in peer.stream("count"):
                pass


async def test_a_peer_without_subscriptions_is_asked_until_the_task_has_ended() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.event(task())
        call.cut()

    async def refuse(call: Call) -> None:
        await call.error(a2a.UnsupportedOperation("no subscriptions here"))

    async def working(call: Call) -> None:
        await call.result(task()["task"])

    async def done(call: Call) -> None:
        await call.result(task("COMPLETED", text="done")["task"])

    async with talking_to(Script(cut, *[refuse, working] * 6, refuse, done)) as peer:
        events = [event async for event in peer.stream("slowly")]
    assert said(events) == "done"
    assert len(events) == 2


async def test_a_peer_that_has_nothing_new_for_too_long_is_given_up() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.event(task())
        call.cut()

    async def refuse(call: Call) -> None:
        await call.error(a2a.UnsupportedOperation("no subscriptions here"))

    async def working(call: Call) -> None:
        await call.result(task()["task"])

    async with talking_to(Script(cut, *[refuse, working] * 500), timeout=BRIEF) as peer:
        with pytest.raises(DeadlineExceeded):
            async for _ in peer.stream("never"):
                pass


async def test_attaching_again_has_an_end() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.event(task())
        call.cut()

    script = Script(*[cut] * 10)
    async with talking_to(script) as peer:
        with pytest.raises(TransportError):
            async for _ in peer.stream("count"):
                pass
    assert script.methods == ["SendStreamingMessage", *["SubscribeToTask"] * 3]


async def test_a_try_that_brings_something_new_does_not_count() -> None:
    def cut_after(text: str) -> Any:
        async def step(call: Call) -> None:
            await call.begin()
            await call.event(task(text=text))
            call.cut()

        return step

    async def end(call: Call) -> None:
        await call.stream(task("COMPLETED", text="123456789"))

    script = Script(*[cut_after("123456789"[:length]) for length in range(1, 9)], end)
    async with talking_to(script) as peer:
        assert said([event async for event in peer.stream("count")]) == "123456789"


async def test_without_a_task_and_without_the_extension_the_message_is_not_sent_again() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        call.cut()

    script = Script(cut)
    async with talking_to(script) as peer:
        with pytest.raises(TransportError):
            async for _ in peer.stream("once"):
                pass
    assert len(script.calls) == 1


# With the resume extension: numbers.


@pytest.mark.requirement("EXTENSION-CLIENT")
async def test_with_the_extension_the_stream_goes_on_behind_the_last_number() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.event(task(), 1)
        await call.event(piece("one ", append=False), 3)
        await call.event(piece("two "), 4)
        call.cut()

    async def again(call: Call) -> None:
        await call.begin()
        await call.event(piece("two "), 4)  # known already
        await call.event(piece("three"), 5)
        await call.event(now("COMPLETED"), 7)
        await call.end()

    script = Script(cut, again)
    async with talking_to(script, resume=True) as peer:
        events = [event async for event in peer.stream("count")]
    assert [(event.number, event.text) for event in events] == [
        (1, ""), (3, "one "), (4, "two "), (5, "three"), (7, ""),
    ]  # fmt: skip
    assert script.calls[1].method == "SubscribeToTask"
    assert script.calls[1].headers["last-event-id"] == "4"
    assert script.calls[1].headers["a2a-extensions"] == "urn:codin:a2a:resume:v1"


async def test_a_trimmed_log_gives_a_snapshot_of_which_only_the_new_is_told() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one ", append=False), start=1)
        call.cut()

    async def again(call: Call) -> None:
        await call.begin()
        await call.event(task(text="one two "), 90)
        await call.event(piece("three"), 91)
        await call.event(now("COMPLETED"), 92)
        await call.end()

    async with talking_to(Script(cut, again), resume=True) as peer:
        events = [event async for event in peer.stream("count")]
    assert [(event.number, event.text) for event in events[2:]] == [(90, "two "), (91, "three"), (92, "")]


async def test_with_the_extension_an_unanswered_message_is_sent_again_in_the_same_bytes() -> None:
    async def lost(call: Call) -> None:
        call.cut()

    async def answered(call: Call) -> None:
        await call.stream(task("COMPLETED", text="once"))

    script = Script(lost, lost, answered)
    async with talking_to(script, resume=True) as peer:
        events = [event async for event in peer.stream("once")]
    assert said(events) == "once"
    assert len({call.body for call in script.calls}) == 1
    assert len({call.headers["idempotency-key"] for call in script.calls}) == 1


async def test_a_number_the_peer_does_not_know_any_more_falls_back_to_the_task() -> None:
    async def cut(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one "), start=1)
        call.cut()

    async def unknown(call: Call) -> None:
        await call.error(a2a.InvalidParams("beyond the end", reason="EVENT_NUMBER_UNKNOWN"))

    async def get(call: Call) -> None:
        await call.result(task("WORKING", text="one two ")["task"])

    async def again(call: Call) -> None:
        assert "last-event-id" not in call.headers
        await call.stream(task(text="one two "), piece("three"), now("COMPLETED"))

    async with talking_to(Script(cut, unknown, get, again), resume=True) as peer:
        assert said([event async for event in peer.stream("count")]) == "one two three"


async def test_the_ids_of_a_server_without_the_extension_mean_nothing() -> None:
    async def step(call: Call) -> None:
        await call.begin()
        await call.event(task(), 7)
        await call.event(piece("all"), 7)
        await call.event(now("COMPLETED"), 7)
        await call.end()

    async with talking_to(Script(step)) as peer:
        events = [event async for event in peer.stream("hi")]
    assert said(events) == "all"
    assert [event.number for event in events] == [None] * 3


# Subscriptions.


async def test_a_subscription_tells_what_there_is_and_then_what_comes() -> None:
    async def step(call: Call) -> None:
        await call.stream(task(text="so far, "), now("INPUT_REQUIRED"), now("WORKING"), piece("more"), now("COMPLETED"))

    async with talking_to(Script(step)) as peer:
        events = [event async for event in peer.subscribe("t")]
    assert said(events) == "so far, more"
    assert states(events) == ["WORKING", "INPUT_REQUIRED", "WORKING", "WORKING", "COMPLETED"]


async def test_a_subscription_behind_a_number_asks_for_that_number() -> None:
    async def step(call: Call) -> None:
        await call.begin()
        await call.event(piece("late"), 8)
        await call.event(now("COMPLETED"), 9)
        await call.end()

    script = Script(step)
    async with talking_to(script, resume=True) as peer:
        events = [event async for event in peer.subscribe("t", after=7)]
    assert script.calls[0].headers["last-event-id"] == "7"
    assert [(event.number, event.text) for event in events] == [(8, "late"), (9, "")]
    assert states(events) == ["", "COMPLETED"]


async def test_a_subscription_behind_a_number_needs_a_peer_that_numbers() -> None:
    async with talking_to(Script()) as peer:
        with pytest.raises(a2a.UnsupportedOperation, match="number"):
            async for _ in peer.subscribe("t", after=7):
                pass


async def test_a_subscription_to_a_task_that_has_ended_gives_the_task() -> None:
    async def refuse(call: Call) -> None:
        await call.error(a2a.UnsupportedOperation("terminal"))

    async def get(call: Call) -> None:
        await call.result(task("COMPLETED", text="all of it")["task"])

    async with talking_to(Script(refuse, get)) as peer:
        (event,) = [event async for event in peer.subscribe("t")]
    assert (event.kind, event.text, event.state) == ("task", "all of it", a2a.TaskState.COMPLETED)


# Time, size, nonsense.


async def test_silence_ends_a_stream_and_a_comment_is_not_silence() -> None:
    async def hush(call: Call) -> None:
        await call.exchange.gone()

    async def chatter(call: Call) -> None:
        await call.begin()
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.5 * SILENCE
        while loop.time() < end:
            await call.exchange.chunk(b": still here\n\n")
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENCE / 20):
                    await call.exchange.gone()
        await call.events(task("COMPLETED", text="at last"))
        await call.end()

    async with talking_to(Script(hush, chatter), timeout=SILENCE) as peer:
        with pytest.raises(DeadlineExceeded):
            async for _ in peer.stream("hi"):
                pass
        assert said([event async for event in peer.stream("hi")]) == "at last"


async def test_a_connection_that_died_unnoticed_is_replaced() -> None:
    async def dead(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one "))
        await call.exchange.gone()

    async def again(call: Call) -> None:
        await call.stream(task("COMPLETED", text="one two"))

    async with talking_to(Script(dead, again), timeout=SILENCE) as peer:
        assert said([event async for event in peer.stream("hi")]) == "one two"


async def test_a_peer_that_is_silent_again_is_given_up() -> None:
    async def dead(call: Call) -> None:
        await call.begin()
        await call.events(task(), piece("one ", append=False))
        await call.exchange.gone()

    async def deaf(call: Call) -> None:
        await call.begin()
        await call.event(task(text="one "))
        await call.exchange.gone()

    script = Script(dead, deaf)
    async with talking_to(script, timeout=SILENCE) as peer:
        with pytest.raises(DeadlineExceeded):
            async for _ in peer.stream("hi"):
                pass
    assert len(script.calls) == 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: not json\n\n",
        b"data: []\n\n",
        b'data: {"jsonrpc":"2.0","id":1}\n\n',
        b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
        b'data: {"jsonrpc":"2.0","id":1,"result":{"task":{"id":7}}}\n\n',
        b'data: {"jsonrpc":"2.0","id":1,"result":{"statusUpdate":{"taskId":"t","status":{"state":"HAPPY"}}}}\n\n',
        b"data: " + b"[" * 10_000 + b"\n\n",
    ],
)
async def test_nonsense_is_a_bad_response_and_is_not_asked_for_again(garbage: bytes) -> None:
    async def step(call: Call) -> None:
        await call.begin()
        await call.event(task())
        await call.exchange.chunk(garbage)
        await call.exchange.gone()

    script = Script(step)
    async with talking_to(script) as peer, asyncio.timeout(PATIENT):
        with pytest.raises(BadResponse):
            async for _ in peer.stream("hi"):
                pass
    assert len(script.calls) == 1


async def test_an_event_without_end_is_bounded() -> None:
    async def step(call: Call) -> None:
        await call.begin()
        while True:
            await call.exchange.chunk(b"data: " + b"x" * 1_000_000)

    async with talking_to(Script(step), timeout=30) as peer:
        with pytest.raises(ResponseTooLarge):
            async for _ in peer.stream("hi"):
                pass


@pytest.mark.requirement("DATA-UNKNOWN", "DATA-LENIENT")
async def test_fields_that_belong_to_nothing_and_bytes_in_any_pieces_do_not_matter() -> None:
    async def step(call: Call) -> None:
        await call.begin()
        whole = b"".join(
            a2a.sse_event(call.framed(result))
            for result in (
                b'{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"},"new":1},"message":null}',
                b'{"artifact_update":{"task_id":"t","artifact":{"artifact_id":"a","parts":[{"text":"\xc3\xa9"}]}}}',
                b'{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}}',
            )
        )
        for place in range(len(whole)):
            await call.exchange.chunk(whole[place : place + 1])
        await call.end()

    async with talking_to(Script(step)) as peer:
        events = [event async for event in peer.stream("hi")]
    assert said(events) == "é"
    assert states(events) == ["WORKING", "WORKING", "COMPLETED"]


async def test_an_error_instead_of_a_stream_is_raised() -> None:
    async def step(call: Call) -> None:
        await call.error(a2a.UnsupportedOperation("busy", reason="TASK_BUSY"))

    async with talking_to(Script(step)) as peer:
        with pytest.raises(a2a.UnsupportedOperation) as caught:
            async for _ in peer.stream("hi"):
                pass
    assert caught.value.reason == "TASK_BUSY"


async def test_an_error_in_the_middle_of_a_stream_is_raised() -> None:
    async def step(call: Call) -> None:
        await call.begin()
        await call.event(task())
        await call.fail(a2a.InternalError())
        await call.exchange.gone()

    async with talking_to(Script(step)) as peer, asyncio.timeout(PATIENT):
        with pytest.raises(a2a.InternalError):
            async for _ in peer.stream("hi"):
                pass


async def test_a_result_instead_of_a_stream_is_a_bad_response() -> None:
    async def step(call: Call) -> None:
        await call.result(task("COMPLETED"))

    async with talking_to(Script(step)) as peer:
        with pytest.raises(BadResponse, match="application/json"):
            async for _ in peer.stream("hi"):
                pass


async def test_leaving_a_stream_hangs_up() -> None:
    gone = asyncio.Event()

    async def step(call: Call) -> None:
        await call.begin()
        await call.event(task())
        await call.exchange.gone()
        gone.set()

    async with talking_to(Script(step)) as peer, asyncio.timeout(PATIENT):
        async for _ in peer.stream("hi"):
            break
        await gone.wait()


async def test_a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next() -> None:
    async def step(call: Call) -> None:
        await call.stream(task(), now("COMPLETED"))

    script = Script(*[step] * 3)
    async with talking_to(script) as peer:
        for _ in range(3):
            assert len([event async for event in peer.stream("hi")]) == 2
    assert {call.exchange.connection for call in script.calls} == {1}


@pytest.mark.requirement("STREAM-CLIENT-UNDECLARED")
async def test_a_peer_without_streaming_is_asked_the_plain_way() -> None:
    async def step(call: Call) -> None:
        await call.result(task("COMPLETED", text="all at once"))

    script = Script(step)
    async with talking_to(script, capabilities={}) as peer:
        (event,) = [event async for event in peer.stream("hi")]
    assert (event.text, event.state) == ("all at once", a2a.TaskState.COMPLETED)
    assert script.methods == ["SendMessage"]
