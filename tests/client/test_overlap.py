"""A plain peer may tell a subscriber again what its Task has already; the reader gets it once.

It collects updates for a subscriber before it makes the Task that the subscriber gets first.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from codin import a2a
from codin.client import Backoff, Event, connect
from tests.client.racing import RacingPeer
from tests.client.scripted import PATIENT, Call, Script, Step, card, now, piece, talking_to, task
from tests.net.wire import Exchange

pytestmark = pytest.mark.anyio

QUESTIONS = 8


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


def contents(events: list[Event]) -> dict[str, str]:
    last = events[-1].task
    assert last is not None
    return {artifact.artifact_id: a2a.text_of(artifact.parts) for artifact in last.artifacts}


def having(state: str = "WORKING", /, **texts: str) -> dict[str, Any]:
    """A task with these artifacts."""
    return task(state, artifacts=[{"artifactId": name, "parts": [{"text": text}]} for name, text in texts.items()])


def cut(*updates: dict[str, Any]) -> Step:
    async def step(call: Call) -> None:
        await call.begin()
        await call.events(*updates)
        call.cut()

    return step


def tells(*updates: dict[str, Any]) -> Step:
    async def step(call: Call) -> None:
        await call.stream(*updates, now("COMPLETED"))

    return step


def kept(**texts: str) -> Step:
    async def step(call: Call) -> None:
        assert call.method == "GetTask"
        await call.result(having(**texts)["task"])

    return step


class Peer(Script):
    """A script whose questions for the Task are answered on their own."""

    def __init__(self, *steps: Step, answers: tuple[Step, ...] = ()) -> None:
        super().__init__(*steps)
        self.answers = [*answers]

    async def __call__(self, exchange: Exchange) -> None:
        call = Call(exchange)
        if call.method != "GetTask":
            return await super().__call__(exchange)
        self.calls.append(call)
        return await self.answers.pop(0)(call)


async def heard(peer: Peer) -> list[Event]:
    async with talking_to(peer) as other, asyncio.timeout(PATIENT):
        events = [event async for event in other.stream("spell")]
    assert peer.steps == []
    assert peer.answers == []
    return events


BEGUN = cut(task(), piece("a", append=False))


async def test_a_piece_that_the_task_has_already_is_told_once() -> None:
    again = tells(having(a="ab"), piece("b"), piece("c"))
    events = await heard(Peer(BEGUN, again, answers=(kept(a="ab"),)))
    assert [event.text for event in events] == ["", "a", "b", "c", ""]
    assert contents(events) == {"a": "abc"}


async def test_a_piece_that_only_says_the_same_as_the_end_of_the_task_is_new() -> None:
    again = tells(having(a="ab"), piece("b"), piece("c"))
    events = await heard(Peer(BEGUN, again, answers=(kept(a="abb"),)))
    assert said(events) == "abbc"
    assert contents(events) == {"a": "abbc"}


@pytest.mark.parametrize("answers", [("abb", "abb"), ("abbc",)])
async def test_a_piece_told_again_and_then_said_once_more(answers: tuple[str, ...]) -> None:
    again = tells(having(a="ab"), piece("b"), piece("b"), piece("c"))
    events = await heard(Peer(BEGUN, again, answers=tuple(kept(a=text) for text in answers)))
    assert said(events) == "abbc"
    assert contents(events) == {"a": "abbc"}


async def test_the_task_has_moved_on_when_it_is_asked_for() -> None:
    again = tells(having(a="ab"), piece("b"), piece("c"), piece("d"), piece("e"))
    events = await heard(Peer(BEGUN, again, answers=(kept(a="abcd"),)))
    assert said(events) == "abcde"


async def test_the_task_has_ended_when_it_is_asked_for() -> None:
    async def ended(call: Call) -> None:
        await call.result(having("COMPLETED", a="abc")["task"])

    again = tells(having(a="ab"), piece("b"), piece("c"))
    events = await heard(Peer(BEGUN, again, answers=(ended,)))
    assert [event.text for event in events] == ["", "a", "b", "c"]
    assert events[-1].state == a2a.TaskState.COMPLETED


async def test_nobody_asks_when_every_piece_can_only_be_new() -> None:
    for again in (
        tells(having(a="a"), piece("a"), piece("b")),  # nothing was missed
        tells(having(a="ab"), piece("a"), piece("b")),  # only "b" was
        tells(having(a="ab"), piece("ab", append=False, lastChunk=True)),  # the closing update
    ):
        peer = Peer(BEGUN, again)
        await heard(peer)
        assert peer.methods == ["SendStreamingMessage", "SubscribeToTask"]


async def test_many_pieces_told_again_cost_one_question() -> None:
    again = tells(having(a="a one two three "), piece("one "), piece("two "), piece("three "), piece("four"))
    events = await heard(Peer(BEGUN, again, answers=(kept(a="a one two three "),)))
    assert said(events) == "a one two three four"


async def test_the_beginning_of_an_artifact_may_be_told_again() -> None:
    again = tells(having(a="ab"), piece("a", append=False), piece("b"), piece("c"))
    events = await heard(Peer(cut(task()), again, answers=(kept(a="ab"),)))
    assert said(events) == "abc"


async def test_an_artifact_that_says_something_else_now_is_new() -> None:
    again = tells(having(a="ab"), piece("other", append=False), piece("!"))
    events = await heard(Peer(BEGUN, again))
    assert [event.text for event in events] == ["", "a", "b", "other", "!", ""]
    assert contents(events) == {"a": "other!"}


async def test_pieces_of_several_artifacts_told_again() -> None:
    again = tells(
        having(a="ab", x="xy"),
        piece("x", append=False, artifact="x"),
        piece("b"),
        piece("y", artifact="x"),
        piece("z", artifact="x"),
        piece("c"),
    )
    events = await heard(Peer(BEGUN, again, answers=(kept(a="ab", x="xy"),) * 2))
    assert contents(events) == {"a": "abc", "x": "xyz"}
    assert sorted(said(events)) == [*"abcxyz"]


async def test_data_told_again_is_there_once() -> None:
    def holding(*numbers: int) -> list[dict[str, Any]]:
        return [{"text": "a"}, *({"data": {"n": number}} for number in numbers)]

    def data(number: int) -> dict[str, Any]:
        update = piece("")
        update["artifactUpdate"]["artifact"]["parts"] = holding(number)[1:]
        return update

    async def answer(call: Call) -> None:
        await call.result(now_holding["task"])

    now_holding = task(artifacts=[{"artifactId": "a", "parts": holding(1)}])
    events = await heard(Peer(BEGUN, tells(now_holding, data(1), data(2)), answers=(answer,)))
    last = events[-1].task
    assert last is not None
    assert [part.data for part in last.artifacts[0].parts] == [None, {"n": 1}, {"n": 2}]


async def test_a_stream_cut_twice_does_not_forget_what_may_come_again() -> None:
    once, again = cut(having(a="ab")), tells(having(a="ab"), piece("b"), piece("c"))
    events = await heard(Peer(BEGUN, once, again, answers=(kept(a="ab"),)))
    assert said(events) == "abc"


async def test_a_new_subscription_may_be_told_twice_as_well() -> None:
    peer = Peer(tells(having(a="ab"), piece("b"), piece("c")), answers=(kept(a="ab"),))
    async with talking_to(peer) as other:
        events = [event async for event in other.subscribe("t")]
    assert said(events) == "abc"


async def test_a_question_told_again_is_asked_once() -> None:
    asks = now("INPUT_REQUIRED", "which?")
    peer = Peer(tells(task("INPUT_REQUIRED", said="which?"), now("WORKING"), asks, now("WORKING"), piece("this")))
    async with talking_to(peer) as other:
        events = [event async for event in other.subscribe("t")]
    assert said(events) == "which?this"


async def test_a_cut_while_the_task_is_asked_for() -> None:
    async def lost(call: Call) -> None:
        call.cut()

    again = cut(having(a="ab"), piece("b"))
    final = tells(having(a="ab"), piece("c"))
    events = await heard(Peer(BEGUN, again, final, answers=(lost,) * 4))
    assert said(events) == "abc"


async def test_the_questions_have_an_end() -> None:
    dots = [piece(".") for _ in range(50)]
    answers = tuple(kept(a="." * length) for length in range(3, 3 + QUESTIONS))
    events = await heard(
        Peer(cut(task(), piece(".", append=False)), tells(having(a=".."), *dots), answers=answers),
    )
    assert said(events) == "." * 52


# At drawn moments: how much is written before a cut, while the client attaches, and before a question is answered.

ALPHABETS = {"a": "ab", "x": "xy"}
NAMES = st.sampled_from([*ALPHABETS])
PIECES = NAMES.flatmap(lambda name: st.tuples(st.just(name), st.text(ALPHABETS[name], min_size=1, max_size=3)))


@given(pieces=st.lists(PIECES, max_size=10), moves=st.lists(st.integers(0, 4), max_size=20))
@example(pieces=[("a", "b")] * 4, moves=[1, 0, 1, 4, 0])
@example(pieces=[("a", text) for text in ("b", "b", "b", "ba", "a")], moves=[1, 0, 1, 4, 1])
@settings(max_examples=300)
def test_whatever_the_moments_the_reader_gets_everything_once(pieces: list[tuple[str, str]], moves: list[int]) -> None:
    peer = RacingPeer(pieces, moves)

    async def hear() -> list[Event]:
        patient = Backoff(tries=len(moves), first=0.0)
        async with connect(card("http://peer/"), transport=peer, backoff=patient) as other:
            return [event async for event in other.stream("go")]

    events = asyncio.run(hear())
    assert max(peer.questions) <= QUESTIONS
    assume(max(peer.questions) < QUESTIONS)
    assert contents(events) == peer.texts()
    for name, text in peer.texts().items():
        assert "".join(sign for sign in said(events) if sign in ALPHABETS[name]) == text
