"""Sessions that outlive a process, by the services that ADK has for them."""

from __future__ import annotations

from pathlib import Path

from google.adk.sessions import BaseSessionService, DatabaseSessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService

__all__ = ["SERVICES", "open_sessions"]

SERVICES = ("sqlite", "database")


def open_sessions(service: str, folder: str | Path) -> BaseSessionService:
    """One of `SERVICES`, over its file in a folder."""
    if service == "sqlite":
        return SqliteSessionService(str(Path(folder, "sessions.db")))
    return DatabaseSessionService(f"sqlite+aiosqlite:///{folder}/sessions.db")
