"""The pages of the documentation, and the code blocks in them.

A block may say more about itself behind its language:

    ```python                          is run; top-level `await` is allowed
    ```python title="hello.py"         is written to that file, and imported, so that it is at least good Python
    ```python serve="hello.py"         is run while `codin serve hello.py` serves; 127.0.0.1:8000 in it is that server
    ```text output                     is all that the block before it printed

In a block that is run, the comment behind a `print(...)` is what it prints, with … for anything. All blocks of a page
share one folder, and a server that was started stays to the end of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "blocks_of", "prose_of", "table_of"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(?P<language>\w*)(?P<said>.*?)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SAID = re.compile(r'(\w+)(?:="([^"]*)")?')
_PRINTED = re.compile(r"^\s*print\(.*\)\s+# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: where its text begins in the page, from 1.
        said: what it says about itself.
    """

    page: Path
    line: int
    language: str
    said: dict[str, str]
    text: str

    @property
    def printed(self) -> list[str]:
        """What it promises to print, in this order, perhaps among other lines."""
        return [comment.strip() for comment in _PRINTED.findall(self.text)]


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    whole = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(whole):
        line = whole.count("\n", 0, found.start("text")) + 1
        yield Block(page, line, found["language"], dict(_SAID.findall(found["said"])), found["text"])


def prose_of(page: Path) -> str:
    """A page without its blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))


def table_of(page: str, header: str) -> list[list[str]]:
    """The cells of the table in `docs/<page>` whose header row is `header`."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    rows = lines[lines.index(header) + 2 :]
    end = next((number for number, line in enumerate(rows) if not line.startswith("|")), len(rows))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[:end]]
