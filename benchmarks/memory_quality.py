"""How well a memory finds: questions about this project's pages, by words, by vectors and by both.

`python -m benchmarks.memory_quality [--embedder NAME …] [--memory URL] [--missed]`

Prints a line of JSON for each way. A record is a section of a page in docs/. The questions are in memory_quality.toml,
worded as people ask and not as the pages say it, each with the sections that answer it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import tomllib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, get_args

from codin.memory import How, Memory, Record, Scope, open_memory
from codin.memory.embedders import Embedder, embedder_of

_ROOT = Path(__file__).resolve().parents[1]
_GENERATED = {"conformance.md", "reference.md"}
_HEADING = re.compile(r"#{1,4} +(.+)")
WAYS: Sequence[How] = get_args(How)


class Question(NamedTuple):
    """What somebody asks, and the ids of the sections that answer it."""

    ask: str
    answers: frozenset[str]


class Quality(NamedTuple):
    """Means over all questions.

    Args:
        recall: of the answers, how many are among the first five.
        ndcg: how far up they are among the first ten; 1 is best. Järvelin and Kekäläinen, TOIS 2002.
    """

    recall: float
    ndcg: float


def questions() -> list[Question]:
    """All of them."""
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["questions"]
    return [Question(one["ask"], frozenset(one["answered_by"])) for one in listed]


def sections() -> list[Record]:
    """The sections of all pages that are written by hand. An id is the file and the heading."""
    pages = sorted(page for page in (_ROOT / "docs").glob("*.md") if page.name not in _GENERATED)
    return [section for page in pages for section in _sections_of(page)]


def _sections_of(page: Path) -> list[Record]:
    lines: dict[str, list[str]] = {}
    heading, in_code = "", False
    for line in page.read_text(encoding="utf-8").splitlines():
        in_code ^= line.startswith("```")
        if (found := _HEADING.fullmatch(line)) and not in_code:
            heading = found[1]
        lines.setdefault(heading, []).append(line)
    title = next(iter(lines))
    texts = {heading: "\n".join([title, *written]) for heading, written in lines.items()}
    return [Record(f"{page.name}#{heading}", text) for heading, text in texts.items()]


@asynccontextmanager
async def filled(url: str, embedder: Embedder | None, records: Sequence[Record]) -> AsyncGenerator[Memory]:
    """A memory that has these records and no others."""
    backend = open_memory(url)
    await backend.open()
    try:
        memory = Memory(backend, Scope("benchmark", "quality"), embedder=embedder)
        await memory.forget()
        await memory.records.add_all(records)
        yield memory
    finally:
        await backend.close()


async def quality(memory: Memory, how: How, asked: Sequence[Question]) -> Mapping[str, Quality]:
    """How well each question is answered."""
    found: dict[str, Quality] = {}
    for question in asked:
        hits = await memory.records.search(question.ask, 10, how=how)
        found[question.ask] = _quality([hit.record.id in question.answers for hit in hits], len(question.answers))
    return found


def mean(found: Mapping[str, Quality]) -> Quality:
    """Of all questions."""
    return Quality(fmean(one.recall for one in found.values()), fmean(one.ndcg for one in found.values()))


def _quality(right: Sequence[bool], wanted: int) -> Quality:
    return Quality(sum(right[:5]) / wanted, gained(right) / gained([True] * wanted))


def gained(worths: Sequence[float]) -> float:
    """Of what was found in this order, the less the later it comes: DCG, and by that of the best order nDCG."""
    return sum(worth / math.log2(place + 1) for place, worth in enumerate(worths, 1))


async def measured(name: str, url: str = "memory://") -> Mapping[How, Mapping[str, Quality]]:
    """How well each question is answered, by each way that an embedder allows."""
    embedder = embedder_of(name)
    asked = questions()
    async with filled(url, embedder, sections()) as memory:
        return {how: await quality(memory, how, asked) for how in WAYS if embedder is not None or how == "words"}


async def _run(options: argparse.Namespace) -> None:
    for name in options.embedder or ["hashing", "minilm"]:
        for how, found in (await measured(name, options.memory)).items():
            missed = [ask for ask, one in found.items() if not one.recall]
            line = {"embedder": name, "how": how, **mean(found)._asdict()}
            print(json.dumps({**line, "missed": missed} if options.missed else line), flush=True)


def parser_of(name: str) -> argparse.ArgumentParser:
    """The options that measuring what is found has."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description="Measure what is found.")
    parser.add_argument("--embedder", action="append", help="such as hashing:512; hashing and minilm without it")
    parser.add_argument("--memory", default="memory://", metavar="URL", help="where the records are kept meanwhile")
    return parser


if __name__ == "__main__":
    parser = parser_of("memory_quality")
    parser.add_argument("--missed", action="store_true", help="name the questions whose answer is not among five")
    asyncio.run(_run(parser.parse_args()))
