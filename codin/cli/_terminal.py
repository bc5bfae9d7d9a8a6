"""Where words go: results to standard output, everything else to standard error, and neither is trusted to a peer."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["check_somebody", "errors", "interactive", "plain", "results", "say", "show", "write"]

# A terminal obeys control characters, and a peer's text is no order: they are shown instead. Line feed and tab stay.
_SHOWN: dict[int, int | None] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    ord("\r"): None,
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}

_ENDLESS = 100_000


def plain(text: str) -> str:
    """The text with its control characters made visible."""
    return text.translate(_SHOWN)


@cache
def _console(stderr: bool) -> Console:
    from rich.console import Console

    screen = (sys.stderr if stderr else sys.stdout).isatty()
    # A pipe has no width: what reads it shall find a long address in one piece.
    width = None if screen else _ENDLESS
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def results() -> Console:
    """Standard output, for tables and cards."""
    return _console(False)


def errors() -> Console:
    """Standard error, for everything that is not the result."""
    return _console(True)


def say(text: str, style: str = "") -> None:
    """One line on standard error."""
    errors().print(plain(text), style=style)


def show(text: Text | str, style: str = "", *, label: str = "", indent: int = 0) -> None:
    """A piece of text on standard output, folded to the width of the screen behind its indent.

    Args:
        label: what stands in the indent of the first line, dim.
    """
    from rich.text import Text

    console = results()
    text = Text(plain(text).strip(), style) if isinstance(text, str) else text
    for line in text.wrap(console, max(20, console.width - indent)):
        line.rstrip()
        console.print(Text.assemble((plain(label).ljust(indent), "dim"), line) if line or label else "")
        label = ""


def write(text: str) -> None:
    """A piece of a result, at once; as it is for a program that reads it, made harmless for a terminal."""
    sys.stdout.write(plain(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def check_somebody(otherwise: str) -> None:
    """Raise UsageError when there is nobody to ask.

    Args:
        otherwise: the option that goes without, and what it does.
    """
    import click

    if not interactive():
        raise click.UsageError(f"there is nobody to ask: {otherwise}", click.get_current_context())
