"""How well a memory finds what people call alike: a public set of 50 short texts of news, each pair of them judged.

`uv run --no-sync --with gensim==4.4.0 python -m benchmarks.memory_lee [--embedder NAME …] [--memory URL]`

Each text is a question, and the 49 others are what can be found. Prints a line of JSON for each way. The texts and the
judgements are Lee, Pincombe and Welsh's (An empirical evaluation of models of text document similarity, 2005); gensim's
package on PyPI brings them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

from benchmarks.memory_quality import WAYS, Quality, filled, gained, parser_of
from codin.memory import How, Memory, Record
from codin.memory.embedders import embedder_of

_ALIKE = 0.5  # of 1; 5.7 of the 49 others are, on average


def texts() -> tuple[list[str], list[list[float]]]:
    """The texts, and how alike two of them are, between 0 and 1."""
    found = find_spec("gensim")
    if found is None or found.origin is None:
        raise SystemExit("the texts come with gensim: uv run --no-sync --with gensim==4.4.0 python -m …")
    folder = Path(found.origin).parent / "test/test_data"
    lines = (folder / "similarities0-1.txt").read_text("ascii").splitlines()
    above = [[float(number) for number in line.split()] for line in lines]  # each pair once
    alike = [[max(above[a][b], above[b][a]) for b in range(len(above))] for a in range(len(above))]
    return (folder / "lee.cor").read_text("latin-1").splitlines(), alike


async def quality(memory: Memory, how: How, judged: list[str], alike: list[list[float]]) -> Quality:
    """Means over all texts."""
    found: list[Quality] = []
    for number, text in enumerate(judged):
        hits = await memory.records.search(text, 11, how=how)
        others = [hit.record.id for hit in hits if hit.record.id != str(number)][:10]
        worth = {str(other): value for other, value in enumerate(alike[number]) if other != number}
        found.append(_quality([worth[other] for other in others], sorted(worth.values(), reverse=True)))
    return Quality(fmean(one.recall for one in found if not math.isnan(one.recall)), fmean(one.ndcg for one in found))


def _quality(gains: list[float], ideal: list[float]) -> Quality:
    wanted = sum(gain >= _ALIKE for gain in ideal)
    recall = sum(gain >= _ALIKE for gain in gains[:5]) / wanted if wanted else math.nan
    return Quality(recall, gained(gains) / gained(ideal[:10]))


async def _run(options: argparse.Namespace) -> None:
    judged, alike = texts()
    records = [Record(str(number), text) for number, text in enumerate(judged)]
    for name in options.embedder or ["hashing", "minilm"]:
        embedder = embedder_of(name)
        async with filled(options.memory, embedder, records) as memory:
            for how in WAYS if embedder is not None else ("words",):
                found = await quality(memory, how, judged, alike)
                print(json.dumps({"embedder": name, "how": how, **found._asdict()}), flush=True)


if __name__ == "__main__":
    asyncio.run(_run(parser_of("memory_lee").parse_args()))
