"""A folder in a memory: again when it has changed, after an end in the midst, and however large it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import anyio
import pytest

from codin.errors import ConfigError, EmbeddingFailed
from codin.memory import Memory, MemoryBackend, MemoryLimits, Record, Scope, Vector
from codin.memory.backends import InProcess
from codin.memory.embedders import HashingEmbedder, Purpose
from codin.memory.retrieval import IngestLimits, citation, ingest, passage
from tests.docs.pages import table_of
from tests.memory.conftest import opened
from tests.memory.retrieval.conftest import Fill, kept

pytestmark = pytest.mark.anyio

TEXTS = {"a.md": "# A\n\nalpha", "b/c.txt": "gamma", "d.html": "<p>delta"}


class Counting(HashingEmbedder):
    """Counts the texts, and ends what goes on when it is asked for one too many."""

    def __init__(self, last: int = 10**9, dimensions: int = 64) -> None:
        super().__init__(dimensions)
        self.calls = self.texts = 0
        self.last = last

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        if self.calls == self.last:
            raise EmbeddingFailed("the server is gone")
        self.calls += 1
        self.texts += len(texts)
        return await super().embed(texts, purpose=purpose)


def of(embedder: HashingEmbedder | None, backend: InProcess, caller: str = "") -> Memory:
    return Memory(backend, Scope("", "clerk", caller), embedder=embedder)


def told(records: Sequence[Record]) -> list[tuple[str, str]]:
    return [(record.id, record.text) for record in records]


async def test_a_folder_is_found_by_words_with_its_citations(memory: Memory, fill: Fill) -> None:
    done = await ingest(memory, fill(TEXTS))
    assert (done.added, done.changed, done.unchanged, done.removed, done.chunks) == (3, 0, 0, 0, 3)
    (hit,) = await memory.records.search("gamma", how="words")
    assert (passage(hit), citation(hit)) == ("gamma", "b/c.txt, line 1")
    assert hit.metadata["chunks"] == hit.metadata["chunk"] == 1
    assert [h.metadata["source"] for h in await memory.records.search("delta", where={"source": "d.html"})] == [
        "d.html"
    ]


async def test_a_second_run_touches_only_what_has_changed(fill: Fill) -> None:
    embedder = Counting()
    memory = of(embedder, await opened())
    folder = fill({**TEXTS, "long.md": "\n\n".join(f"# {number}\n\ntext" for number in range(10))})
    await ingest(memory, folder)
    before = told(await kept(memory))
    embedder.texts = 0
    done = await ingest(memory, folder)
    assert (done.unchanged, done.chunks, embedder.texts) == (4, 0, 0)
    assert told(await kept(memory)) == before

    fill({"a.md": "# A\n\nanother", "long.md": "# 0\n\nshort", "new.txt": "new"})
    (folder / "d.html").unlink()
    done = await ingest(memory, folder)
    assert (done.added, done.changed, done.unchanged, done.removed) == (1, 2, 1, 1)
    assert embedder.texts == 3
    assert [passage(record) for record in await kept(memory)] == ["another", "gamma", "short", "new"]


async def test_it_is_the_same_in_every_memory(backend: MemoryBackend, fill: Fill) -> None:
    memory = Memory(backend, Scope("", "clerk"), embedder=HashingEmbedder(64))
    folder = fill({**TEXTS, "long.md": "\n\n".join(f"# {number}\n\ntext" for number in range(130))})
    assert (await ingest(memory, folder)).chunks == 133
    assert (await ingest(memory, folder)).unchanged == 4
    fill({"long.md": "# end\n\nomega"})
    (folder / "a.md").unlink()
    done = await ingest(memory, folder)
    assert (done.changed, done.unchanged, done.removed) == (1, 2, 1)
    assert [passage(record) for record in await kept(memory)] == ["gamma", "delta", "omega"]
    (hit, *_) = await memory.records.search("omega", where={"source": "long.md"})
    assert citation(hit) == "long.md, line 3"


async def test_a_file_that_cannot_be_read_any_more_is_not_found_any_more(memory: Memory, fill: Fill) -> None:
    folder = fill(TEXTS)
    await ingest(memory, folder)
    done = await ingest(memory, fill({"a.md": b"\x00"}))
    assert (done.removed, [name for name, _ in done.skipped]) == (1, ["a.md"])
    assert [record.metadata["source"] for record in await kept(memory)] == ["b/c.txt", "d.html"]


async def test_another_embedder_reads_all_of_it_anew(fill: Fill) -> None:
    backend, folder = await opened(), fill(TEXTS)
    await ingest(of(Counting(), backend), folder)
    done = await ingest(of(Counting(dimensions=128), backend), folder)
    assert (done.changed, done.unchanged) == (3, 0)
    assert (await backend.stats("")).spaces == {"hashing/128": 3}
    done = await ingest(of(None, backend), folder)
    assert done.changed == 3


@pytest.mark.parametrize("shape", [[1, 1], [130, 3], [3, 130], [130, 200], [200, 130]], ids=str)
async def test_a_run_that_ends_in_the_midst_is_mended(fill: Fill, shape: tuple[int, int]) -> None:
    """At every call of the embedder, in a first run and in the one that replaces: with the file changed, or gone."""

    def text(sections: int, word: str) -> str:
        return "\n\n".join(f"# {number}\n\n{word}" for number in range(sections))

    old, new = {"a.md": text(shape[0], "old")}, {"a.md": text(shape[1], "new")}
    for ends in range(5):
        for last in ({"a.md": "# end\n\nend"}, {}):
            backend = await opened()
            folder = fill({**old, "b.md": "stays"})
            await _ended(backend, folder, ends)
            fill(new)
            await _ended(backend, folder, ends)
            fill(last) if last else (folder / "a.md").unlink()
            await ingest(of(HashingEmbedder(64), backend), folder)
            found = [passage(record) for record in await kept(of(None, backend))]
            assert found == [*(["end"] if last else []), "stays"]


async def _ended(backend: InProcess, folder: Path, calls: int) -> None:
    with suppress(EmbeddingFailed):
        await ingest(of(Counting(calls), backend), folder)


async def test_a_run_that_is_called_off_is_mended(fill: Fill) -> None:
    folder, backend = fill({f"{number}.md": f"text {number}" for number in range(20)}), await opened()
    with anyio.CancelScope() as scope:
        await ingest(
            of(HashingEmbedder(64), backend),
            folder,
            progress=lambda done, total, current: scope.cancel() if done == 7 else None,
        )
    assert scope.cancelled_caught
    done = await ingest(of(HashingEmbedder(64), backend), folder)
    assert (done.added, done.unchanged) == (13, 7)
    assert len(await kept(of(None, backend))) == 20


async def test_progress_is_told(memory: Memory, fill: Fill) -> None:
    said: list[tuple[int, int, str]] = []
    await ingest(memory, fill(TEXTS), progress=lambda done, total, current: said.append((done, total, current)))
    assert said == [(0, 3, "a.md"), (1, 3, "b/c.txt"), (2, 3, "d.html"), (3, 3, "")]


async def test_one_file_is_that_of_its_folder(memory: Memory, fill: Fill) -> None:
    folder = fill(TEXTS)
    assert (await ingest(memory, folder / "a.md")).added == 1
    done = await ingest(memory, folder)
    assert (done.added, done.unchanged) == (2, 1)
    done = await ingest(memory, folder / "a.md")
    assert (done.unchanged, done.removed) == (1, 0)


async def test_two_folders_do_not_know_of_each_other(memory: Memory, fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.md": "one"})
    other = tmp_path / "elsewhere" / "texts"
    other.mkdir(parents=True)
    (other / "a.md").write_text("two")
    await ingest(memory, folder)
    assert (await ingest(memory, other)).removed == 0
    assert {passage(record) for record in await kept(memory)} == {"one", "two"}
    await ingest(memory, folder, collection="named")
    assert len(await memory.records.list({"collection": "named"})) == 1


async def test_callers_have_their_own(fill: Fill) -> None:
    backend, folder = await opened(), fill(TEXTS)
    ada = of(HashingEmbedder(64), backend, "ada")
    await ingest(ada, folder)
    assert not await of(HashingEmbedder(64), backend, "bob").records.search("gamma")
    assert await ada.records.search("gamma")
    assert await ada.forget() == 3


async def test_what_is_left_out(memory: Memory, fill: Fill, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    hidden = {
        ".notes.txt": "x",
        ".git/config.txt": "x",
        "node_modules/m/readme.md": "x",
        "env/pyvenv.cfg": "",
        "env/a.py": "x",
    }
    folder = fill({**hidden, "a.md": "read", "b/c.md": "read"})
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "inner.md").symlink_to(folder / "a.md")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    done = await ingest(memory, folder)
    assert [record.metadata["source"] for record in await kept(memory)] == ["a.md", "b/c.md"]
    link = "a symbolic link is not followed"
    assert dict(done.skipped) == {"inner.md": link, "link.txt": link, "round": link, "pipe.txt": "it is no file"}
    done = await ingest(memory, folder, hidden=True)
    assert (done.added, done.unchanged) == (1, 2)
    assert ".notes.txt" in [record.metadata["source"] for record in await kept(memory)]


async def test_gitignore_is_honoured(memory: Memory, fill: Fill) -> None:
    rules = "# made\nbuild/\n*.log\n!keep.log\n/top.txt\ndocs/**/draft.md\na?c.txt\n\\#odd.txt\n**/deep/x.txt\nbuilt\n"
    left_out = [
        "build/a.txt",
        "x.log",
        "b/x.log",
        "top.txt",
        "docs/draft.md",
        "docs/1/2/draft.md",
        "abc.txt",
        "#odd.txt",
    ]
    left_out += ["1/deep/x.txt", "deep/x.txt", "built/b.txt", "sub/inner.txt"]
    read = ["keep.log", "b/top.txt", "docs/other.md", "abbc.txt", "deep/y.txt", "sub/other.txt", "b/inner.txt"]
    files = dict.fromkeys([*left_out, *read], "text")
    await ingest(memory, fill({**files, ".gitignore": rules, "sub/.gitignore": "inner.txt"}))
    assert {record.metadata["source"] for record in await kept(memory)} == set(read)


async def test_rules_that_are_made_to_take_long_do_not(memory: Memory, fill: Fill) -> None:
    name = "a" * 200
    rules = "\n".join(["*a" * 200 + "b", "/".join(["**"] * 100 + ["x"]), "**/a/" * 2 + "x"] * 300)
    folder = fill({".gitignore": rules, f"{'/'.join(['a'] * 30)}/{name}": "text", "b.txt": "text"})
    with anyio.fail_after(20):
        assert (await ingest(memory, folder)).added == 2


async def test_what_is_not_there_is_an_error(memory: Memory, tmp_path: Path, fill: Fill) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        await ingest(memory, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="has more than 2 files"):
        await ingest(memory, fill(TEXTS), limits=IngestLimits(files=2))


async def test_a_file_that_the_memory_does_not_keep_is_skipped(fill: Fill) -> None:
    small = Memory(await opened(), Scope(), limits=MemoryLimits(text=50))
    done = await ingest(small, fill({"a.txt": "x" * 100, "b.txt": "short"}))
    assert (done.added, [name for name, _ in done.skipped]) == (1, ["a.txt"])


# In a process of its own, since what other tests have begun would be measured, too.
_MEASURED = """
import asyncio, sys, tracemalloc
from codin.memory import Memory, Scope
from codin.memory.backends import InProcess
from codin.memory.retrieval import ingest

class Nowhere(InProcess):
    async def add(self, scope, records):
        pass  # what is kept is not what is measured

async def measure(folder):
    tracemalloc.start()
    backend = Nowhere()
    await backend.open()
    done = await ingest(Memory(backend, Scope()), folder)
    print(done.chunks, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()

for folder in sys.argv[1:]:
    asyncio.run(measure(folder))
"""


def test_a_thousand_documents_take_no_more_memory_than_a_hundred(fill: Fill) -> None:
    text = "\n\n".join(["word" * 16] * 150)  # of 10 KB, so that those that were kept would show
    counts = [1, 100, 1000]  # the first one pays for what is imported
    folder = fill({f"{count}/{number % 10}/{number}.txt": text for count in counts for number in range(count)})
    command = [sys.executable, "-c", _MEASURED, *(str(folder / str(count)) for count in counts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=170)
    measured = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
    each = measured[0][0]
    assert [chunks for chunks, _ in measured] == [each, 100 * each, 1000 * each]
    assert measured[2][1] < 4_000_000


def test_the_limits_are_those_of_the_page() -> None:
    written = {row[0].strip("`"): float(row[1]) for row in table_of("retrieval.md", "| limit | default | beyond it |")}
    assert written == asdict(IngestLimits())
