"""Answers questions over a folder of texts with quotes, and says where each of them stands.

LIBRARIAN_FOLDER names the folder, by default the one beside this file. LIBRARIAN_MEMORY names a memory that outlives
the process (sqlite:///library.db); without it the folder is read anew at each start.

Without a model it quotes the sentences that have most of the question's words. With OPENAI_API_KEY or OPENAI_BASE_URL a
model answers out of the same passages, and the quotes stand below; OPENAI_MODEL says which.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codin.agent import AgentResponse, Reject, Task, agent
from codin.memory import Hit, Memory, Scope, as_data, open_memory, terms_of
from codin.memory.embedders import HashingEmbedder
from codin.memory.retrieval import citation, ingest, passage

LONGEST = 2_000  # characters of a question
QUOTES = 3
FITS = 0.5  # of what a question asks, by the weight of its words, which a passage has to have
FRESH = 30.0  # seconds until the folder is looked at again
_DEEP = 12  # passages that are looked at
_WINDOW = 3  # sentences of a quote
_TOLD = 10  # files that are left out
_TELLING = ("source", "title", "heading", "page", "line_from", "line_to")
_SENTENCE = re.compile(
    r"\S.*?(?:[.!?…][\"'”’»)\]]*(?=\s|$)|[。！？]|(?=\n\s*\n)|(?=\n\s*(?:[-*+>|#]|\d+[.)])\s)|$)", re.DOTALL
)
# Words that a question has, and that no answer needs to have.
_SMALL = frozenset(
    terms_of(
        "a about all am an and any are as at be been but by can could did do does for from give had has have how i if "
        "in into is it its many may me much must my no not of on one or our please say shall should some tell than "
        "that the their them then there these they this those to us was we were what when where which while who whom "
        "whose why will with would you your"
    )
)
_ASKED = (
    "Answer the question out of the found passages alone, in a few sentences. Put the number of the passage, as [1], "
    "behind what you take from it. If the passages do not answer it, say so and nothing else."
)


class Library:
    """The folder, as it is searched."""

    def __init__(self) -> None:
        place = os.environ.get("LIBRARIAN_FOLDER")
        self._folder = Path(place) if place else Path(__file__).with_name("docs")
        self._backend = open_memory(os.environ.get("LIBRARIAN_MEMORY", "memory://"))
        self._memory = Memory(self._backend, Scope("", "librarian"), embedder=HashingEmbedder())
        self._lock = asyncio.Lock()
        self._read = -math.inf

    async def search(self, question: str, task: Task) -> Sequence[Hit]:
        """The passages that may answer a question, best first."""
        async with self._lock:
            await self._backend.open()
            try:
                if time.monotonic() - self._read > FRESH:
                    await self._look(task)
                return await self._memory.records.search(question, _DEEP)
            finally:
                await self._backend.close()

    async def _look(self, task: Task) -> None:
        await task.status(f"looking through {self._folder.name}")
        done = await ingest(self._memory, self._folder)
        for name, why in done.skipped[:_TOLD]:
            await task.status(f"{' '.join(name.split())} is left out: {why}")
        self._read = time.monotonic()


library = Library()


@agent(
    name="librarian",
    tags=["documents", "search", "questions", "quotes"],
    examples=["When may I water the beds?"],
)
async def answer(question: str, task: Task) -> AgentResponse:
    """Answer a question over a folder of texts with quotes, and say where each of them stands."""
    if len(question) > LONGEST:
        raise Reject(f"The question has {len(question):,} characters; {LONGEST:,} are the most.")
    words = frozenset(terms_of(question)) - _SMALL
    if not words:
        raise Reject("There is no question in that: no word that could be looked for.")
    hits = await library.search(question, task)
    weights = weighted(words, hits)
    fitting = [hit for hit in hits if share(hit.text, weights) >= FITS][:QUOTES]
    if not fitting:
        return AgentResponse.completed("Nothing in these texts fits the question.", data={"quotes": []})
    quotes = [quoted(hit, weights) for hit in fitting]
    text = "\n\n".join(shown(number, quote) for number, quote in enumerate(quotes, 1))
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        text = f"{await written(question, fitting)}\n\n{text}"
    return AgentResponse.completed(text, data={"quotes": quotes})


def shown(number: int, quote: Mapping[str, Any]) -> str:
    """A quote as people read it."""
    marked = "\n".join(f"> {line}" for line in quote["text"].split("\n"))
    return f"{marked}\n[{number}] {quote['citation']}"


# -- what fits ---------------------------------------------------------------------------------------------------------


def weighted(words: frozenset[str], hits: Sequence[Hit]) -> Mapping[str, float]:
    """What each word of the question weighs: the fewer passages have it, the more; none is as one."""
    having = [set(terms_of(hit.text)) for hit in hits]
    return {word: math.log(2 + len(having) - max(1, sum(word in one for one in having))) for word in words}


def share(text: str, weights: Mapping[str, float]) -> float:
    """How much of the question a text has, 0 to 1."""
    return _weight(text, weights) / sum(weights.values())


def _weight(text: str, weights: Mapping[str, float]) -> float:
    return sum(weights.get(word, 0.0) for word in set(terms_of(text)))


def quoted(hit: Hit, weights: Mapping[str, float]) -> dict[str, Any]:
    """The sentences of a passage that have most of the question, letter for letter."""
    text = passage(hit)
    ends = [(found.start(), found.end()) for found in _SENTENCE.finditer(text)]
    best, most = text, -math.inf
    for first, (start, _) in enumerate(ends):
        for _, end in ends[first : first + _WINDOW]:
            # A longer quote has to say more for it.
            worth = _weight(text[start:end], weights) - (end - start) / 1000
            if worth > most:
                best, most = text[start:end], worth
    about = {name: value for name, value in hit.metadata.items() if name in _TELLING}
    return {"text": best, "citation": citation(hit), **about}


# -- with a model ------------------------------------------------------------------------------------------------------


async def written(question: str, hits: Sequence[Hit]) -> str:
    """What a model makes of the passages."""
    try:
        from openai import AsyncOpenAI  # only who has a model needs it
    except ImportError:
        raise Reject("OPENAI_* is set, but the openai package is not installed here: pip install openai") from None
    async with AsyncOpenAI() as client:
        reply = await client.chat.completions.create(
            model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"),
            messages=[
                {"role": "system", "content": _ASKED},
                {"role": "user", "content": f"{as_data(hits)}\n\nThe question: {question}"},
            ],
        )
    return (reply.choices[0].message.content or "").strip()
