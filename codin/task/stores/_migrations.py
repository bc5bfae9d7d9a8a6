"""Brings a SQLite file to the shape this code knows: `migrations/NNNN_name.sql`, counted by `PRAGMA user_version`."""

from __future__ import annotations

import sqlite3

from codin.errors import StoreError
from codin.task.stores._scripts import scripts_of

__all__ = ["migrate"]

_APPLICATION = 0x636F6469
"""«codi» in the file's header: a file without it that holds tables is not ours to write to."""


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Apply what is missing, each migration in a transaction of its own.

    Raises:
        StoreError: the file belongs to another program, or to a newer codin.
    """
    known = scripts_of("codin.task.stores")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION and (version or connection.execute("SELECT 1 FROM sqlite_master").fetchone()):
        raise StoreError(f"{path!r} is the database of another program", hint="give the store a file of its own")
    if version > len(known):
        raise StoreError(
            f"{path!r} has schema version {version}, and this codin knows {len(known)}",
            hint="a newer codin wrote it: upgrade, or use another file",
        )
    for number, script in enumerate(known[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA application_id = {_APPLICATION};\nPRAGMA user_version = {number};\nCOMMIT;"
        )
