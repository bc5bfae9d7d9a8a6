"""Other people's clients against every adapter: what they hear is what was said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from docs.interop import MATRIX, Row
from tests.interop.callers import caller_of
from tests.interop.cases import ADAPTERS, FAILS, SECRET, TEXT, Asker, asking, cannot, chatting
from tests.interop.conftest import Programs

pytestmark = pytest.mark.anyio

PATIENT = 120.0  # frameworks take long to start
CLIENTS = ["python", "javascript", "adk", "crewai"]
ROWS = [row for row in MATRIX.rows if row.peer in CLIENTS and (row.side, row.binding) == ("client", "JSONRPC")]

clients = pytest.mark.parametrize("row", ROWS, ids=[row.peer for row in ROWS])


@pytest.fixture(autouse=True)
def started(request: pytest.FixtureRequest, programs: Programs) -> None:
    """What takes part and is a program: it may take a minute to start, which is no time of the test."""
    asked = request.node.callspec.params
    assert programs[f"{asked['row'].peer} client"]
    assert asked["adapter"] != "crewai" or programs["crewai agents"]


@asynccontextmanager
async def chat_of(adapter: str, programs: Programs) -> AsyncGenerator[str]:
    """The URL of an agent that says `TEXT`, or fails."""
    async with asyncio.timeout(PATIENT):
        if adapter == "crewai":
            yield json.loads(programs["crewai agents"])["chat"]
        else:
            async with chatting(adapter) as url:
                yield url


@asynccontextmanager
async def asker_of(adapter: str, programs: Programs) -> AsyncGenerator[Asker]:
    async with asyncio.timeout(PATIENT):
        if adapter == "crewai":
            yield Asker(*json.loads(programs["crewai agents"])["ask"])
        else:
            async with asking(adapter) as asker:
                yield asker


def heard(row: Row, text: str) -> str:
    return " ".join(text.split()) if row.peer == "crewai" else text  # it puts blanks between the pieces


@clients
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_answer_is_heard_word_for_word(adapter: str, row: Row, programs: Programs) -> None:
    async with chat_of(adapter, programs) as url:
        caller = caller_of(row, programs, url)
        told = await caller.send("go")
        assert told.reached("completed")
        assert heard(row, told.text) == TEXT
        *texts, whole = [told.text async for told in caller.stream("go")]
    assert heard(row, whole) == TEXT
    assert all(TEXT.startswith(text) for text in texts)
    if "streams" not in cannot(adapter):
        # CrewAI only tells that there are pieces.
        assert len(texts if row.peer == "crewai" else {*texts}) > 10


@clients
@pytest.mark.parametrize("adapter", [adapter for adapter in ADAPTERS if "question" not in cannot(adapter)])
async def test_a_question_is_heard_and_answered(adapter: str, row: Row, programs: Programs) -> None:
    async with asker_of(adapter, programs) as asker:
        caller = caller_of(row, programs, asker.url)
        asked = await caller.send("Go.")
        assert asked.state == "input-required"
        assert asker.question in heard(row, asked.text)
        answered = await caller.send(asker.answer, after=asked)
    assert answered.reached("completed")
    assert asker.outcome in heard(row, answered.text)


@clients
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_failure_is_heard_without_its_secrets(adapter: str, row: Row, programs: Programs) -> None:
    async with chat_of(adapter, programs) as url:
        told = await caller_of(row, programs, url).send(FAILS)
    assert told.reached("failed")
    assert told.text
    assert TEXT not in told.text
    assert SECRET not in told.text
