"""Files and folders into records, and again when they have changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from anyio import to_thread

from codin.errors import NotKept
from codin.memory._memory import Memory
from codin.memory._protocol import Record
from codin.memory.retrieval._document import Unreadable
from codin.memory.retrieval._folder import content_of, files_of
from codin.memory.retrieval._limits import IngestLimits
from codin.memory.retrieval._reading import Read, digest_of, read

__all__ = ["Ingested", "Progress", "ingest"]

Progress = Callable[[int, int, str], None]
"""Is told how many files are done, of how many, and which one is next; at the end ""."""

_BATCH = 64  # chunks that go to the embedder and the memory at once
_PAGE = 200  # records that are listed at once


@dataclass(slots=True)
class Ingested:
    """What became of the files.

    Args:
        chunks: that were written.
        skipped: files that are not in the memory, and why.
        noted: files that are, and what a person should know about it.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    noted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


class _Known(NamedTuple):
    """What the memory has of a file: that of its first chunk."""

    digest: str
    chunks: int


async def ingest(
    memory: Memory,
    path: str | os.PathLike[str],
    *,
    collection: str | None = None,
    limits: IngestLimits | None = None,
    hidden: bool = False,
    progress: Progress | None = None,
) -> Ingested:
    """Read a file, or the files of a folder, into the records of a memory.

    Doing it again touches only what has changed: changed files are replaced, those that are gone or cannot be read any
    more are removed. Ended in the midst, even by force, the next run goes on and mends what is half done.

    Args:
        memory: whose scope the records are in; `memory.shared` is what all callers of an agent find.
        collection: the name under which the folder is known; by default made of its path. Two folders of one name
            would take turns in removing each other's files.
        hidden: also files and folders whose names begin with a dot.
        progress: is called before each file, and at the end.

    Raises:
        ConfigError: there is nothing at the path, or too many files.
        EmbeddingFailed, MemoryFailed: what was done so far is kept.

    Example:
        done = await ingest(memory.shared, "docs/", progress=lambda done, total, current: print(current))
    """
    limits = limits or IngestLimits()
    files = await to_thread.run_sync(lambda: files_of(Path(path), limits, hidden=hidden))
    shelf = _Shelf(memory, collection or _name_of(files.root))
    known = await shelf.known()
    done = Ingested(skipped=list(files.skipped))
    for number, source in enumerate(files.sources):
        if progress is not None:
            progress(number, len(files.sources), source)
        await _one(shelf, files.root, source, known.pop(source, None), limits, done)
    for source, gone in known.items() if files.whole else ():
        await shelf.remove(source, gone)
        done.removed += 1
    if progress is not None:
        progress(len(files.sources), len(files.sources), "")
    return done


async def _one(
    shelf: _Shelf, root: Path, source: str, known: _Known | None, limits: IngestLimits, done: Ingested
) -> None:
    try:
        content = await to_thread.run_sync(content_of, root / source, limits.file_bytes)
        digest = await to_thread.run_sync(digest_of, content, shelf.space)
        if known is not None and known.digest == digest:
            done.unchanged += 1
            return
        found = await read(source, content, limits)
        if not found.chunks:
            raise Unreadable("there is no text in it")
        await shelf.put(source, digest, found, known)
    except (Unreadable, NotKept, OSError) as error:
        why = f"it cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        done.skipped.append((source, why))
        if known is not None:
            await shelf.remove(source, known)
            done.removed += 1
        return
    done.noted += [(source, note) for note in found.notes]
    done.chunks += len(found.chunks)
    if known is None:
        done.added += 1
    else:
        done.changed += 1


def _name_of(root: Path) -> str:
    """A name for a folder that no other one has: without its whole path, which is nobody's business who finds it."""
    name = re.sub(r"[^\w.-]+", "-", root.name, flags=re.ASCII)[:40]
    return f"{name or 'root'}-{blake2b(os.fsencode(root), digest_size=4).hexdigest()}"


class _Shelf:
    """The records of one collection.

    A file's first chunk says how many there are, and has the digest. It is there as long as any other: it is written
    with the others at once, or before them with no digest, and removed behind them. So a run that was ended leaves no
    chunk of which the next one does not know.
    """

    def __init__(self, memory: Memory, collection: str) -> None:
        self._memory = memory
        self._records = memory.records
        self._collection = collection
        self._prefix = blake2b(collection.encode(), digest_size=8).hexdigest()
        self.space = self._records.space

    async def known(self) -> dict[str, _Known]:
        """What is there, by source."""
        known: dict[str, _Known] = {}
        where = {"collection": self._collection, "chunk": 1}
        last = ""
        while page := await self._records.list(where, after=last, limit=_PAGE):
            for record in page:
                about = record.metadata
                known[str(about["source"])] = _Known(str(about.get("digest", "")), int(about["chunks"]))
            last = page[-1].id
        return known

    async def put(self, source: str, digest: str, found: Read, known: _Known | None) -> None:
        """Write the chunks of a file in the place of those that are there."""
        if known is not None and known.chunks > len(found.chunks):
            await self._delete(source, len(found.chunks) + 1, known.chunks)
        at_once = len(found.chunks) <= _BATCH
        made = self._made(source, digest, found)
        first = next(made)
        opening = first if at_once else replace(first, metadata={**first.metadata, "digest": ""})
        records = chain([opening], made)
        while batch := list(islice(records, _BATCH)):
            await self._records.add_all(batch)
        if not at_once:
            await self._records.add_all([first])

    async def remove(self, source: str, known: _Known) -> None:
        """Remove all chunks of a file."""
        await self._delete(source, 2, known.chunks)
        await self._delete(source, 1, 1)

    async def _delete(self, source: str, first: int, last: int) -> None:
        for start in range(first, last + 1, _PAGE):
            numbers = range(start, min(start + _PAGE, last + 1))
            await self._records.delete(*(self._id(source, number) for number in numbers))

    def _made(self, source: str, digest: str, found: Read) -> Iterator[Record]:
        for number, chunk in enumerate(found.chunks, 1):
            about: dict[str, Any] = {
                "collection": self._collection,
                "source": source,
                "title": found.title,
                "heading": chunk.heading,
                "page": chunk.page,
                "line_from": chunk.line_from,
                "line_to": chunk.line_to,
                "chunk": number,
                "chunks": len(found.chunks),
                "digest": digest,
            }
            said = {name: value for name, value in about.items() if value not in (0, "")}
            yield Record(self._id(source, number), chunk.text, said)

    def _id(self, source: str, number: int) -> str:
        return f"{self._prefix}-{blake2b(source.encode(), digest_size=16).hexdigest()}-{number:06}"
