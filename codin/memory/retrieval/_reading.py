"""A file as chunks: in a thread, within its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import PurePath

import anyio
from anyio import to_thread

from codin.memory.retrieval._chunks import Chunk, chunks_of
from codin.memory.retrieval._code import read_code, read_python
from codin.memory.retrieval._document import Document, Unreadable
from codin.memory.retrieval._html import read_html
from codin.memory.retrieval._kinds import Kind, kind_of
from codin.memory.retrieval._limits import IngestLimits
from codin.memory.retrieval._markdown import read_markdown
from codin.memory.retrieval._pdf import read_pdf
from codin.memory.retrieval._text import decoded, read_text

__all__ = ["Read", "digest_of", "read"]

_FORM = "1"  # another one when files are read or cut in another way, so that they are read anew

_READERS: Mapping[Kind, Callable[[str], Document]] = {
    "markdown": read_markdown,
    "html": read_html,
    "python": read_python,
    "code": read_code,
    "text": read_text,
}


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a file."""

    title: str
    chunks: Sequence[Chunk]
    notes: Sequence[str]


def digest_of(content: bytes, space: str) -> str:
    """Changes with the file, with the way it is read, and with what makes the vectors."""
    return blake2b(content, digest_size=16, salt=_FORM.encode(), key=blake2b(space.encode()).digest()).hexdigest()


async def read(source: str, content: bytes, limits: IngestLimits) -> Read:
    """The chunks of a file. Raises Unreadable.

    A PDF is read in a process, which is ended when its time is over. Everything else is read in a thread by readers
    whose time grows with the length alone; one that takes too long is left to itself, as no thread can be ended.
    """
    kind = kind_of(source)
    if kind is None:
        raise Unreadable("there is no reader for it")
    try:
        with anyio.fail_after(limits.seconds):
            if kind == "pdf":
                document = await read_pdf(content, limits)
                return await to_thread.run_sync(_chunked, source, document, limits)
            return await to_thread.run_sync(_read_text, source, kind, content, limits, abandon_on_cancel=True)
    except TimeoutError:
        raise Unreadable(f"reading it took longer than {limits.seconds:g} seconds") from None


def _read_text(source: str, kind: Kind, content: bytes, limits: IngestLimits) -> Read:
    text, notes = decoded(content)
    document = _READERS[kind](text)
    document.notes = [*notes, *document.notes]
    return _chunked(source, document, limits)


def _chunked(source: str, document: Document, limits: IngestLimits) -> Read:
    title = " ".join(document.title.split()) or PurePath(source).name
    chunks = list(islice(chunks_of(document.blocks, title), limits.chunks + 1))
    notes = list(document.notes)
    if len(chunks) > limits.chunks:
        del chunks[limits.chunks :]
        notes.append(f"only its first {limits.chunks} chunks were taken")
    return Read(title, chunks, notes)
