"""The summarizer: with sentences of the text, and with a model."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.testing import ModelAnswer, ModelServer, mesh
from tests.examples.prose import prose
from tests.examples.shipped import shipped

pytestmark = pytest.mark.anyio

SUMMARIZER = shipped("summarizer")
TIDES = (
    "The tide was low. Gulls came over from the harbour wall. At low tide the harbour falls dry, and the boats lie on "
    "their sides in the mud of the harbour.\n\nSomebody laughed. The tide comes back, and every boat in the harbour "
    "rises."
)


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_the_sentences_that_say_most_in_the_order_of_the_text() -> None:
    assert SUMMARIZER.extracted(f"# The tide\n\n{TIDES}", 3) == [
        "Gulls came over from the harbour wall.",
        "At low tide the harbour falls dry, and the boats lie on their sides in the mud of the harbour.",
        "The tide comes back, and every boat in the harbour rises.",
    ]


def test_what_was_said_is_not_said_again() -> None:
    text = "Salt is dear. Salt is dear here. Salt is dear now. Coal burns badly."
    chosen = SUMMARIZER.extracted(text, 2)
    assert "Coal burns badly." in chosen


@given(seed=st.integers(0, 200), count=st.integers(1, 9))
def test_they_are_of_the_text_and_as_many_as_were_wanted(seed: int, count: int) -> None:
    text = prose(seed).text
    chosen = SUMMARIZER.extracted(text, count)
    plain = " ".join(text.split())
    places = [plain.index(sentence) for sentence in chosen]
    assert places == sorted(places)
    assert len(set(chosen)) == len(chosen) <= count


@given(text=st.text())
def test_any_text_has_a_summary(text: str) -> None:
    assert len(SUMMARIZER.extracted(text, 3)) <= 3


async def test_it_is_asked_with_a_number() -> None:
    async with mesh(SUMMARIZER.summarize) as peers:
        one = await peers["summarizer"].send(TIDES, data={"sentences": 1})
        assert one.text.startswith("At low tide the harbour falls dry")
        assert (await peers["summarizer"].send(TIDES)).text.count(".") == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [("  \n", "There is no text to summarize."), ("a" * 500_001, "The text has 500,001 characters")],
    ids=["empty", "too long"],
)
async def test_what_is_no_text_to_summarize(text: str, words: str) -> None:
    async with mesh(SUMMARIZER.summarize) as peers:
        reply = await peers["summarizer"].send(text)
        assert reply.state is a2a.TaskState.REJECTED
        assert words in reply.text


def _model(body: Any) -> ModelAnswer:
    system, user = (message["content"] for message in body["messages"])
    return ModelAnswer(f"{body['model']}: {'data' in system and '2 sentences' in system} {user[:10]}")


async def test_a_model_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="pip install openai")
    with ModelServer(_model) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_MODEL", "small")
        async with mesh(SUMMARIZER.summarize) as peers:
            reply = await peers["summarizer"].send(TIDES, data={"sentences": 2})
            assert reply.text == "small: True <document>"


async def test_a_model_without_its_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setitem(sys.modules, "openai", None)
    async with mesh(SUMMARIZER.summarize) as peers:
        reply = await peers["summarizer"].send(TIDES)
        assert reply.state is a2a.TaskState.REJECTED
        assert "pip install openai" in reply.text
