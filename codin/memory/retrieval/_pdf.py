"""PDF by its pages, read in a process that can be ended."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from codin.memory.retrieval._document import Block, Document, Unreadable
from codin.memory.retrieval._limits import IngestLimits
from codin.memory.retrieval._text import paragraphs

__all__ = ["read_pdf"]

_PROGRAM = Path(__file__).with_name("_pdf_program.py")
_LETTERS = 2_000  # of a chunk, at most


async def read_pdf(content: bytes, limits: IngestLimits) -> Document:
    """The text of a PDF. Raises Unreadable.

    Who gives up waiting ends the process: a deadline above this one is kept.
    """
    asked = [limits.pages, limits.chunks * _LETTERS, limits.pdf_memory, math.ceil(limits.seconds)]
    done = await anyio.run_process(
        [sys.executable, "-P", str(_PROGRAM), *map(str, asked)], input=content, check=False, stderr=subprocess.DEVNULL
    )
    try:
        lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    except ValueError:  # it was ended within a line
        lines = []
    error = next((line["error"] for line in lines if "error" in line), None if done.returncode == 0 else "")
    if error == "missing":
        raise Unreadable("PDF needs pypdf: pip install 'codin[pdf]'")
    if error is not None or not lines:
        raise Unreadable(error or "the program that reads PDF has ended without a word")
    head, *pages = lines
    return Document(head["title"], _blocks(pages), _notes(head["pages"], pages))


def _blocks(pages: Sequence[dict[str, Any]]) -> Iterator[Block]:
    for page in pages:
        # A letter that is half of a pair is what some fonts give, and is no text.
        text = str(page["text"]).encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        yield from paragraphs(text.replace("\r", "\n").split("\n"), page=page["page"])


def _notes(total: int, pages: Sequence[dict[str, Any]]) -> list[str]:
    notes = [f"only its first {len(pages)} of {total} pages were read"] if len(pages) < total else []
    if empty := sum(not str(page["text"]).strip() for page in pages):
        notes.append(f"{empty} of its pages have no text; pictures of text are not read")
    return notes
