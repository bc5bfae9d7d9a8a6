"""The one query of a registry: some conditions, an order, and a place to go on from."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from codin import a2a
from codin.mesh.registry._protocol import Page, Query, Registration

__all__ = ["NAMES", "registration_of", "search"]

NAMES: Final = [field.name for field in fields(Registration)]
_COLUMNS: Final = ", ".join(f"r.{name}" for name in NAMES)
_LABELLED: Final = "EXISTS (SELECT 1 FROM labels WHERE kind = ? AND label = ? AND agent = r.agent AND row = r.row)"
_RANKED: Final = 500
"""Matches that are put in order. Words that more agents than this have in common tell nothing about any of them."""


def search(connection: sqlite3.Connection, query: Query) -> Page:
    """One page. Raises InvalidParams for a cursor that is none."""
    given = (("name", query.name), ("skill", query.skill), ("tag", query.tag))
    labels = [(kind, label.casefold()) for kind, label in given if label is not None]
    return _by_words(connection, query, labels) if query.words else _by_agent(connection, query, labels)


def registration_of(row: Sequence[Any]) -> Registration:
    """What a row of `NAMES` says."""
    values: dict[str, Any] = dict(zip(NAMES, row, strict=True))
    values.update(verified=bool(values["verified"]), failed=bool(values["failed"]))
    return Registration(**values)


def _by_agent(connection: sqlite3.Connection, query: Query, labels: list[tuple[str, str]]) -> Page:
    """In the order of agents, each page behind the last one of the page before, whatever came and went meanwhile.

    The first label leads: its agents lie in that order, so a page is read without looking at the rest.
    """
    source, order = "registrations r", "r.agent, r.row"
    if labels:
        source = "labels l CROSS JOIN registrations r ON r.row = l.row AND l.kind = ? AND l.label = ?"
        order = "l.agent, l.row"
    conditions = ["r.until > ?", *[_LABELLED] * len(labels[1:])]
    arguments: list[object] = [*sum(labels[:1], ()), query.alive_at, *sum(labels[1:], ())]
    if query.after is not None:
        match _read(query.after):
            case [str(agent), int(row)]:
                conditions.append(f"({order}) > (?, ?)")
                arguments += [agent, row]
            case _:
                raise _no_cursor()
    statement = f"SELECT r.row, {_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
    rows = connection.execute(statement, [*arguments, query.limit + 1]).fetchall()
    page = [registration_of(row[1:]) for row in rows[: query.limit]]
    return Page(page, _written([page[-1].agent, rows[len(page) - 1][0]]) if len(rows) > len(page) else None)


def _by_words(connection: sqlite3.Connection, query: Query, labels: list[tuple[str, str]]) -> Page:
    """The most relevant first. Relevance changes with every registration, so a page is a number of results to skip."""
    skipped = 0 if query.after is None else _read(query.after)
    if not isinstance(skipped, int) or not 0 <= skipped <= _RANKED:
        raise _no_cursor()
    conditions = ["r.until > ?", *[_LABELLED] * len(labels)]
    wanted = " ".join(f'"{word}"*' for word in query.words)
    ranked = (
        "SELECT r.row AS row, r.agent AS agent, bm25(words, 8.0, 4.0, 1.0) AS relevance "
        "FROM words CROSS JOIN registrations r ON r.row = words.rowid "
        f"WHERE words MATCH ? AND {' AND '.join(conditions)} LIMIT {_RANKED}"
    )
    statement = (
        f"SELECT {_COLUMNS} FROM (SELECT * FROM ({ranked}) ORDER BY relevance, agent, row LIMIT ? OFFSET ?) AS best "
        "JOIN registrations r ON r.row = best.row ORDER BY best.relevance, best.agent, best.row"
    )
    rows = connection.execute(statement, [wanted, query.alive_at, *sum(labels, ()), query.limit + 1, skipped])
    found = [registration_of(row) for row in rows]
    more = len(found) > query.limit and skipped + query.limit <= _RANKED
    return Page(found[: query.limit], _written(skipped + query.limit) if more else None)


def _written(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


def _read(cursor: str) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except ValueError:
        raise _no_cursor() from None


def _no_cursor() -> a2a.InvalidParams:
    return a2a.InvalidParams.of("cursor", "is not one that this registry gave")
