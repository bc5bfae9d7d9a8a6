"""Writes a brief of a document out of its own key sentences, with the help of other agents.

The reader takes the document apart, the ranker finds the key sentences. Where there is a writer, it opens the brief in
its own words, and where there is a critic, it says what the brief leaves out. They are called by their names;
READER_URL, RANKER_URL, WRITER_URL and CRITIC_URL name addresses instead.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue

from codin import a2a
from codin.agent import AgentResponse, Reject, Task, agent
from codin.client import Content, Reply
from codin.errors import CodinError, NoAgent

READER, RANKER, WRITER, CRITIC = (
    os.environ.get(f"{name.upper()}_URL", name) for name in ("reader", "ranker", "writer", "critic")
)

CALL = "call"
"""The key in the metadata of a status: which agent was asked or has answered, and in which task of its own."""


class Quote(BaseModel):
    """A sentence of the document, letter for letter, and where it stands."""

    number: int
    section: str
    line: int
    text: str

    @property
    def source(self) -> str:
        """For people: the section, the number of the sentence, the line."""
        return f"{f'{self.section}, ' if self.section else ''}sentence {self.number} (line {self.line})"


class Text(BaseModel):
    """What the reader answers."""

    title: str
    sections: list[str]
    sentences: list[Quote]


class Ranking(BaseModel):
    """What the ranker answers: places in the list it was given, the best first."""

    class Pick(BaseModel):
        index: int

    picks: list[Pick]


class Unavailable(Exception):
    """Another agent could not do its part."""


@agent(name="briefer", tags=["documents"])
async def brief(
    task: Task, document: a2a.Part, sentences: Annotated[int, Field(ge=1)] | None = None
) -> AsyncGenerator[str | AgentResponse]:
    """Quote the key sentences of a text file, each with its source.

    Args:
        document: Markdown or plain text in UTF-8.
        sentences: how many to quote. The caller is asked when it is not given.
    """
    try:
        # This comes before the question, so it is done again if the process ends while the question waits. That is
        # harmless: the same document gives the same sentences, and so the same question.
        text = await _read(task, document)
        total = len(text.sentences)
        quotes = await _rank(task, text.sentences, sentences or await _ask(task, text.title, total))
        opening = await _open(task, text.title, quotes)
        missed = await _criticize(task, text.sentences, quotes) if len(quotes) < total else ""
    except Unavailable as error:
        yield AgentResponse.failed(str(error))
        return
    yield f"{text.title}: {len(quotes)} of {total} sentences\n"
    if opening:
        yield f"\n{opening}\n"
    for quote in quotes:
        yield f"\n> {' '.join(quote.text.split())}\n"
        yield f"  [{quote.source}]\n"
    if missed:
        yield f"\nLeft out, says the critic: {missed}\n"
    await task.artifact({"title": text.title, "quotes": quotes}, name="quotes", description="The quotes, verbatim.")


async def _ask(task: Task, title: str, total: int) -> int:
    question = f"How many of the {total} sentences of {title!r} shall the brief have?"
    wanted = await task.ask(question, schema=int)
    while wanted < 1:
        wanted = await task.ask(f"At least one, please. {question}", schema=int)
    return wanted


async def _read(task: Task, document: a2a.Part) -> Text:
    text = Text.model_validate(
        await _call(task, "reader", READER, document, f"read {document.filename or 'the document'}")
    )
    sections = f" in {len(text.sections)} sections" if len(text.sections) > 1 else ""
    await task.status(f"{len(text.sentences)} sentences{sections}", metadata={CALL: {"from": "reader"}})
    return text


async def _rank(task: Task, sentences: Sequence[Quote], count: int) -> Sequence[Quote]:
    """The key sentences, in the order of the document."""
    count = min(count, len(sentences))
    request = {"sentences": [sentence.text for sentence in sentences], "count": count}
    errand = f"pick {count} of {len(sentences)} sentences"
    ranking = Ranking.model_validate(await _call(task, "ranker", RANKER, request, errand))
    quotes = [sentences[index] for index in sorted(pick.index for pick in ranking.picks)]
    numbers = ", ".join(str(quote.number) for quote in quotes)
    await task.status(f"sentences {numbers}", metadata={CALL: {"from": "ranker"}})
    return quotes


async def _open(task: Task, title: str, quotes: Sequence[Quote]) -> str:
    """The opening, in the writer's words; empty where nobody writes."""
    notes = "\n".join(" ".join(quote.text.split()) for quote in quotes)
    try:
        reply = await _ask_agent(task, "writer", WRITER, {"title": title, "notes": notes}, "open the brief")
    except NoAgent:
        return await _miss(task, "writer")
    await task.status(f"{len(reply.text.split())} words", metadata={CALL: {"from": "writer"}})
    return reply.text.strip()


async def _criticize(task: Task, sentences: Sequence[Quote], quotes: Sequence[Quote]) -> str:
    """What a reader would miss, in the critic's words; empty where nobody judges."""
    quoted = {quote.number for quote in quotes}
    rest = [" ".join(sentence.text.split()) for sentence in sentences if sentence.number not in quoted]
    content = "\n".join(["<document>", *rest, "</document>"])
    try:
        reply = await _ask_agent(task, "critic", CRITIC, content, f"judge the {len(rest)} sentences left out")
    except NoAgent:
        return await _miss(task, "critic")
    await task.status("one is missed", metadata={CALL: {"from": "critic"}})
    return reply.text.strip()


async def _miss(task: Task, name: str) -> str:
    """Go on without somebody who is not needed."""
    await task.status("there is none", metadata={CALL: {"from": name}})
    return ""


async def _call(task: Task, name: str, whom: str, content: Content, errand: str) -> JsonValue:
    """What another agent answers, as data."""
    try:
        return (await _ask_agent(task, name, whom, content, errand)).data
    except NoAgent as error:
        raise Unavailable(f"The {name} could not be asked: {error}") from error


async def _ask_agent(task: Task, name: str, whom: str, content: Content, errand: str) -> Reply:
    """What another agent answers. What it refuses, this agent refuses.

    Args:
        whom: its name, or its URL.

    Raises:
        NoAgent: there is none of that name.
        Reject: it has refused.
        Unavailable: it could not be reached, or has failed.
    """
    await task.status(errand, metadata={CALL: {"to": name}})
    try:
        reply = await task.call(whom, content)
    except NoAgent:
        raise
    except CodinError as error:
        raise Unavailable(f"The {name} could not be asked: {error}") from error
    if reply.state is a2a.TaskState.REJECTED:
        raise Reject(reply.text)
    if reply.state is not a2a.TaskState.COMPLETED:
        raise Unavailable(f"The {name} did not do its part: {reply.text or reply.state}")
    return reply
