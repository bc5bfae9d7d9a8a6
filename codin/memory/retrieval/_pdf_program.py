"""Reads a PDF from standard input and writes its texts: `python -P _pdf_program.py PAGES LETTERS MEMORY SECONDS`.

A process of its own, because a PDF may be made to take all time and memory there is: only a process can be ended.
It imports nothing of codin, so that it starts quickly. Each line of its output is JSON: first `{"title", "pages"}`,
then `{"page", "text"}`; or `{"error"}`.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from io import BytesIO


def main() -> None:
    """Read, and write what was read page by page."""
    pages, letters, memory, seconds = map(int, sys.argv[1:5])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)  # pypdf tells of every little fault
    try:
        _read(sys.stdin.buffer.read(), pages, letters)
    except ImportError:
        _write(error="missing")
    except MemoryError:
        _write(error=f"it takes more than {memory // 2**20} MiB of memory")
    except RecursionError:
        _write(error="its parts stand within each other without an end")
    except Exception as error:  # whatever a parser makes of a broken file
        _write(error=f"pypdf cannot read it ({type(error).__name__}: {str(error)[:200]})")


def _read(content: bytes, pages: int, letters: int) -> None:
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        _write(error="it is locked with a password")
        return
    try:
        title = reader.metadata.title if reader.metadata else None
    except Exception:  # a title is nothing that a document has to have
        title = None
    _write(title=(title or "")[:200], pages=len(reader.pages))
    for number in range(1, min(len(reader.pages), pages) + 1):
        text = reader.pages[number - 1].extract_text()[: max(letters, 0)]
        letters -= len(text)
        _write(page=number, text=text)


def _write(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")


if __name__ == "__main__":
    main()
