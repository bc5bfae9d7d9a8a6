"""What a person sees of a workspace: a table that lives on a terminal, lines elsewhere, one table for `codin ps`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from codin.cli._terminal import plain, results

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

__all__ = ["Lines", "Row", "Screen", "View", "overview", "showing"]

Row = Mapping[str, Any]
"""A process as `Process.to_dict` writes it."""

_STYLES = {
    "starting": "yellow",
    "ready": "green",
    "silent": "yellow",
    "waiting": "yellow",
    "crashed": "bold red",
    "refused": "bold red",
    "stopped": "dim",
}


@contextmanager
def showing(foot: str = "") -> Generator[View]:
    """What fits the place where it is read: a live table on a terminal, else a line for each change.

    Args:
        foot: what stands below the table.
    """
    live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    view = Screen(foot) if live else Lines()
    try:
        yield view
    finally:
        view.close()


class View(Protocol):
    """Shows the processes of a workspace while they run."""

    def update(self, rows: Sequence[Row]) -> None:
        """Something has changed."""
        ...

    def say(self, words: str) -> None:
        """A remark."""
        ...

    def close(self) -> None: ...


class Lines:
    """A line for each change of state, for pipes and files."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}

    def update(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._seen.get(row["name"]) != (seen := (row["state"], row["words"])):
                self._seen[row["name"]] = seen
                self.say(" ".join(filter(None, [row["name"], row["state"], _told(row)])))

    def say(self, words: str) -> None:
        results().print(plain(words))
        results().file.flush()

    def close(self) -> None:
        return


class Screen:
    """The table of all processes, as they are now.

    Args:
        foot: what stands below it.
    """

    def __init__(self, foot: str) -> None:
        from rich.live import Live

        self._foot = foot
        self._rows: Sequence[Row] = ()
        self._live: Live = Live(console=results(), get_renderable=self._render, refresh_per_second=4)
        self._live.start()

    def update(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def say(self, words: str) -> None:
        self._foot = words

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        foot = [Text(plain(self._foot), "dim", no_wrap=False, overflow="fold")] if self._foot else []
        return Group(overview(self._rows), *foot)


def overview(rows: Sequence[Row]) -> RenderableType:
    """The processes as a table, and below it in whole what there is to say of them."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("agent", "state", "for", "starts", "process", "sandbox", "where"):
        table.add_column(column, no_wrap=True)
    now = time.time()
    for row in rows:
        table.add_row(
            plain(row["name"]),
            Text(row["state"], _STYLES.get(row["state"], "")),
            _span(now - row["since"]),
            str(row["starts"]),
            str(row["pid"] or ""),
            str(row["sandbox"] or "-") if row["pid"] else "",
            row["url"] if row["pid"] else "",
        )
    words = [
        Text.assemble(
            (f"{plain(row['name'])}: ", "bold"), " ".join(plain(told).split()), no_wrap=False, overflow="fold"
        )
        for row in rows
        for told in (row["words"], _called(row))
        if told
    ]
    return Group(table, *words)


def _told(row: Row) -> str:
    """What to say of a process in one line."""
    if row["state"] != "ready":
        words: str = row["words"]
        return words
    return ", ".join(filter(None, [row["url"], _called(row)]))


def _called(row: Row) -> str:
    """What its agents are called, where that is another name than their folder's."""
    known = {row["name"].casefold(), row["name"].rpartition(".")[0].casefold()}  # a replica has a number behind it
    others = [repr(name) for name in row.get("called", ()) if name.casefold() not in known]
    return f"is called {' and '.join(others)}" if others else ""


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"
