"""The fold of a stream: laws that hold for every sequence of events."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from codin import a2a
from codin.client._event import Event
from codin.client._fold import Fold
from tests.client.scripted import now, piece, task


def data_piece(text: str, artifact: str) -> dict[str, Any]:
    update = piece(text, artifact=artifact)
    update["artifactUpdate"]["artifact"]["parts"].append({"data": {"k": text}})
    return update


TEXTS = st.text("ab ", max_size=4)
STATES = st.sampled_from(["WORKING", "INPUT_REQUIRED", "COMPLETED", "FAILED"])
ARTIFACTS = st.sampled_from(["a", "b"])
UPDATES = st.one_of(
    st.builds(piece, TEXTS, append=st.booleans(), artifact=ARTIFACTS),
    st.builds(data_piece, TEXTS, ARTIFACTS),
    st.builds(now, STATES, said=st.none() | TEXTS.filter(bool)),
    st.builds(task, STATES, text=st.none() | TEXTS),
)


def value(update: dict[str, Any]) -> Any:
    return a2a.StreamResponse.from_dict(update).value


def folded(updates: list[dict[str, Any]]) -> list[Event]:
    fold = Fold()
    events: list[Event] = []
    for update in updates:
        text = fold.apply(value(update))
        events.append(Event(value(update), text, fold.snapshot, replaced=fold.replaced))
    return events


@given(st.lists(UPDATES, min_size=1, max_size=12))
def test_an_event_shows_the_task_as_it_was_however_late_it_is_read(updates: list[dict[str, Any]]) -> None:
    late = [event.task for event in folded(updates)]
    for length in range(1, len(updates) + 1):
        early = folded(updates[:length])[-1].task
        assert early == late[length - 1]


@given(st.lists(TEXTS, min_size=1, max_size=20), st.booleans())
def test_the_new_texts_joined_are_the_whole_text_whether_or_not_a_closing_update_repeats_it(
    texts: list[str], closing: bool
) -> None:
    whole = "".join(texts)
    updates = [task("SUBMITTED"), *(piece(text, append=bool(place)) for place, text in enumerate(texts))]
    if closing:
        updates.append(piece(whole, append=False, lastChunk=True))
    events = folded([*updates, now("COMPLETED")])
    assert "".join(event.text for event in events) == whole
    last = events[-1].task
    assert last is not None
    assert a2a.text_of(last.artifacts[0].parts) == whole
    assert len(last.artifacts[0].parts) == 1


@given(st.lists(UPDATES, max_size=12))
def test_a_task_takes_the_place_of_everything(updates: list[dict[str, Any]]) -> None:
    final = task("COMPLETED", text="final", said="bye")
    last = folded([*updates, final])[-1].task
    assert last == value(final)


@given(st.lists(UPDATES, max_size=12))
@example([data_piece(" ", "b"), piece("", append=False, artifact="b"), piece("a", append=False, artifact="b")])
def test_a_snapshot_of_what_is_known_brings_no_new_text(updates: list[dict[str, Any]]) -> None:
    fold = Fold()
    fold.apply(value(task()))
    for update in updates:
        fold.apply(value(update))
    assert fold.snapshot is not None
    snapshot = fold.snapshot.build()
    assert not fold.differs(snapshot)
    assert fold.apply(snapshot) == ""


def test_appended_plain_text_continues_the_text_and_anything_else_is_a_part_of_its_own() -> None:
    marked = piece("marked")
    marked["artifactUpdate"]["artifact"]["parts"][0]["metadata"] = {"k": 1}
    last = folded([piece("a", append=False), piece("b"), marked, piece("c"), data_piece("d", "a"), piece("e")])[-1].task
    assert last is not None
    assert [part.text for part in last.artifacts[0].parts] == ["ab", "marked", "c", "d", None, "e"]


def test_an_artifact_that_is_replaced_starts_anew() -> None:
    events = folded([piece("draft", append=False), piece("final", append=False), piece("!")])
    assert [event.text for event in events] == ["draft", "final", "!"]
    assert [event.replaced for event in events] == [False, True, False]
    assert [a2a.text_of(event.task.artifacts[0].parts) for event in events if event.task] == [
        "draft",
        "final",
        "final!",
    ]


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=8), st.integers(1, 8), st.booleans())
def test_an_artifact_that_is_written_again_the_same_way_tells_nothing_twice(
    texts: list[str], cut: int, closing: bool
) -> None:
    told = [piece(text, append=bool(place)) for place, text in enumerate(texts)]
    closed = [piece("".join(texts), append=False, lastChunk=True)] if closing else []
    events = folded([task(), *told[:cut], *told, *closed, now("COMPLETED")])
    assert "".join(event.text for event in events) == "".join(texts)
    assert not any(event.replaced for event in events)


def test_an_artifact_that_is_written_again_in_another_way_says_so() -> None:
    events = folded([piece("one two", append=False), piece("one", append=False), piece(" three"), now("COMPLETED")])
    assert [(event.text, event.replaced) for event in events] == [
        ("one two", False), ("", False), ("one three", True), ("", False),
    ]  # fmt: skip
    shorter = folded([piece("one two", append=False), piece("one", append=False), now("COMPLETED")])
    assert [(event.text, event.replaced) for event in shorter] == [("one two", False), ("", False), ("one", True)]


def test_a_status_message_moves_into_the_history_when_the_next_status_comes() -> None:
    events = folded([task(), now("WORKING", "one"), now("WORKING", "two"), now("COMPLETED")])
    histories = [[message.message_id for message in event.task.history] for event in events if event.task]
    assert histories == [[], [], ["m-one"], ["m-one", "m-two"]]


def test_metadata_of_a_status_joins_that_of_the_task() -> None:
    last = folded([task(metadata={"a": 1}), now("WORKING", metadata={"b": 2})])[-1].task
    assert last is not None
    assert last.metadata == {"a": 1, "b": 2}


def test_a_long_text_is_not_copied_as_it_grows() -> None:
    fold = Fold()
    fold.apply(value(task()))
    event = value(piece("x" * 1000))
    for _ in range(20_000):  # quadratic copying would move 200 GB here
        fold.apply(event)
    assert fold.snapshot is not None
    assert len(a2a.text_of(fold.snapshot.build().artifacts[0].parts)) == 20_000_000
