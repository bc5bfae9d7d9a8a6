"""The laws of adapters, for parley."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from parley import Ask, Event, Talker, Text

from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "people": {"type": "integer"}}}


def chat(bench: Bench) -> Talker:
    return Talker("chat", bench.url, tools=bench.tools)


def structured(bench: Bench) -> Talker:
    return Talker("place", bench.url, schema=SCHEMA)


def asking(bench: Bench) -> Talker:
    def ask_person(question: str) -> str:
        """Ask the person."""
        raise Ask(question)

    return Talker("asking", bench.url, tools=[ask_person])


def failing(bench: Bench) -> Talker:
    class Failing(Talker):
        async def run(self, conversation: Any, answers: Any = None) -> AsyncGenerator[Event]:
            yield Text("Let me ")
            raise RuntimeError(bench.secret)

    return Failing("failing", bench.url)


def question(text: str) -> tuple[str, dict[str, str]]:
    """A call of the tool, as the model makes it."""
    return "ask_person", {"question": text}


COLOUR, SIZE = Asked("What colour?", "red"), Asked("What size?", "big")

CASE = AdapterCase(
    "parley",
    chat=chat,
    structured=structured,
    asking=Asking(asking, [COLOUR], "red", calls=[question("What colour?")]),
    several=Asking(asking, [COLOUR, SIZE], "big", calls=[question("What colour?"), question("What size?")]),
    failing=failing,
    cannot={
        "file_in": "its models read text only",
        "file_out": "it makes no files",
        "authorization": "it asks for no credentials",
    },
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
