"""Writes docs/interop.md from tests/interop/matrix.toml: `python -m docs.interop`.

The tests of the matrix try every cell of it and fail when one turns out otherwise, so the page says what was tried.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "interop.md"
TABLE = ROOT / "tests" / "interop" / "matrix.toml"

CELLS = {
    "send": "a text is answered by a task; another message goes on in its context",
    "message": "a text is answered by a message, without a task",
    "stream": "the answer arrives piece by piece",
    "question": "a task asks back, and goes on with the answer",
    "subscribe": "a running task is joined, and followed to its end",
    "resume": "a stream is left, the task goes on, and a subscription misses nothing",
    "cancel": "a running task is canceled",
    "list": "the tasks of a context are listed",
    "push": "a webhook is told how the task ends",
    "extended_card": "the card for those who say who they are",
    "tenant": "the agent is told the tenant",
    "failure": "an agent that fails says why",
    "refusal": "an operation that is refused has the right error",
}
WORKS, KNOWN, LACKING = "✓", "✗", "–"
_SIDES = {"client": "Their client, codin's server", "server": "codin's client, their server"}

_HEAD = """\
# Interop

```console
make interop
```

What other people's clients and servers do with codin, and codin with theirs. A cell is a conversation between two
processes, over the binding of its row, with an agent that behaves the same on either side. What is said here is
[written down once](../tests/interop/matrix.toml) and [tried whenever the tests run](../tests/interop/test_matrix.py): a
cell that stops working fails, and so does one that is said not to work and does. The run prints this table as it found
it; this page is written by `python -m docs.interop`.

✓ works, ✗ does not, for a reason below, – is not offered.
"""
_TAIL = """\

## Run it

`make interop` makes an environment for each peer, at pinned versions, starts every peer once, and
runs `tests/interop`. Peers in JavaScript need Node.js 20. One binding alone: `make interop ARGS="-k GRPC"`.

Of 0.3, codin's client and server have JSON-RPC and HTTP+JSON, and not gRPC. More that only one peer can show, such as
cut connections, signatures, tokens, and ADK's ways to answer a question, is tested beside the matrix.
"""


@dataclass(frozen=True)
class Peer:
    """Somebody else's implementation.

    Attributes:
        what: of the package it is; empty when the package is nothing else.
    """

    name: str
    version: str
    language: str
    speaks: str
    what: str = ""


@dataclass(frozen=True)
class Row:
    """One side of a peer over one binding.

    Attributes:
        lacks: what it does not offer, and why.
    """

    peer: str
    side: str
    binding: str
    lacks: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"{self.peer}-{self.side}-{self.binding}"


@dataclass(frozen=True)
class Known:
    """A failure that is known.

    Attributes:
        bindings: over which it shows.
        fault: whose it is.
        shows: what the failure says, as a regular expression.
    """

    peer: str
    side: str
    cell: str
    bindings: Sequence[str]
    fault: str
    why: str
    shows: str


@dataclass(frozen=True)
class Matrix:
    peers: Mapping[str, Peer]
    rows: Sequence[Row]
    known: Sequence[Known] = field(default_factory=list[Known])

    def failure(self, row: Row, cell: str) -> Known | None:
        """What is known not to work in a cell."""
        for each in self.known:
            if (each.peer, each.side, each.cell) == (row.peer, row.side, cell) and row.binding in each.bindings:
                return each
        return None

    def mark(self, row: Row, cell: str) -> str:
        if cell in row.lacks:
            return LACKING
        return KNOWN if self.failure(row, cell) is not None else WORKS


def read(text: str) -> Matrix:
    """The matrix in a file.

    Raises:
        ValueError: it names a peer or a cell that there is not.
    """
    document = tomllib.loads(text)
    peers = {name: Peer(**fields) for name, fields in document["peers"].items()}
    rows = [row for fields in document["rows"] for row in _rows(**fields)]
    known = [Known(**fields) for fields in document.get("known", [])]
    tried = {(row.peer, row.side, row.binding, cell) for row in rows for cell in CELLS if cell not in row.lacks}
    wrong = [row for row in rows if row.peer not in peers or not {*row.lacks} <= {*CELLS}]
    untried = [each for each in known for binding in each.bindings
               if (each.peer, each.side, binding, each.cell) not in tried]  # fmt: skip
    if wrong or untried:
        raise ValueError(f"no such peer or cell: {wrong + untried}")
    return Matrix(peers, rows, known)


def _rows(
    peer: str,
    side: str,
    bindings: Sequence[str],
    lacks: Mapping[str, str] | None = None,
    only: Sequence[str] = tuple(CELLS),
    beyond: str = "",
) -> Iterator[Row]:
    lacking = {cell: beyond for cell in CELLS if cell not in only}
    for binding in bindings:
        yield Row(peer, side, binding, {**lacking, **(lacks or {})})


MATRIX = read(TABLE.read_text(encoding="utf-8"))


def page(matrix: Matrix = MATRIX) -> str:
    """The page."""
    lines = [_HEAD]
    for side, title in _SIDES.items():
        rows = [row for row in matrix.rows if row.side == side]
        lines += [f"## {title}", "", *_table(matrix, rows), ""]
    lines += ["| cell | what is tried |", "|---|---|"]
    lines += [f"| {_title(cell)} | {what} |" for cell, what in CELLS.items()]
    lines += ["", *_known(matrix), *_lacking(matrix), _TAIL.rstrip("\n"), ""]
    return "\n".join(lines)


def _table(matrix: Matrix, rows: Sequence[Row]) -> Iterator[str]:
    yield f"| peer | A2A | binding | {' | '.join(map(_title, CELLS))} |"
    yield f"|---|---|---|{':-:|' * len(CELLS)}"
    for row in rows:
        peer = matrix.peers[row.peer]
        marks = " | ".join(matrix.mark(row, cell) for cell in CELLS)
        yield f"| {_named(peer)} | {peer.speaks} | {row.binding} | {marks} |"


def _named(peer: Peer) -> str:
    return f"{peer.name} {peer.version}" + (f", {peer.what}" if peer.what else f" ({peer.language})")


def _title(cell: str) -> str:
    return cell.replace("_", " ")


def _known(matrix: Matrix) -> Iterator[str]:
    yield "## What does not work"
    yield ""
    for each in matrix.known:
        peer = matrix.peers[each.peer]
        where = f"**{_named(peer)}**, {each.side}, {', '.join(each.bindings)}, {_title(each.cell)}"
        yield f"- {where}: {each.why} At fault: {each.fault}."


def _lacking(matrix: Matrix) -> Iterator[str]:
    yield "\n## What is not offered\n"
    reasons: dict[str, list[str]] = {}
    for row in matrix.rows:
        for reason in dict.fromkeys(row.lacks.values()):
            reasons.setdefault(reason, []).append(_named(matrix.peers[row.peer]))
    for reason, peers in reasons.items():
        yield f"- {'; '.join(dict.fromkeys(peers))}: {reason}."


def drawn(outcomes: Mapping[tuple[str, str], str], matrix: Matrix = MATRIX) -> Iterator[str]:
    """The table for a terminal, from what a run found: a mark for each row and cell that was tried."""
    names = [_title(cell) for cell in CELLS]
    yield f"{'':50}{'  '.join(names)}"
    for row in matrix.rows:
        if any(tried == row.id for tried, _ in outcomes):
            peer = matrix.peers[row.peer]
            found = [outcomes.get((row.id, cell), LACKING if cell in row.lacks else "") for cell in CELLS]
            marks = "  ".join(f"{mark:^{len(name)}}" for mark, name in zip(found, names, strict=True))
            yield f"{f'{peer.name} {peer.version} {row.side}, {row.binding}':50}{marks}".rstrip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
