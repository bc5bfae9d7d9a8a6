"""Tools that are ready for use: files, programs, Python, HTTP, SQL, web pages; each with its bounds."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin.tool.ready._fetch import Fetch
    from codin.tool.ready._files import Files
    from codin.tool.ready._page import Page
    from codin.tool.ready._postgres import Postgres
    from codin.tool.ready._programs import Python, Shell
    from codin.tool.ready._sql import Sql

__all__ = ["Fetch", "Files", "Page", "Postgres", "Python", "Shell", "Sql"]

_LAZY = {
    "Fetch": "codin.tool.ready._fetch",
    "Files": "codin.tool.ready._files",
    "Page": "codin.tool.ready._page",
    "Postgres": "codin.tool.ready._postgres",
    "Python": "codin.tool.ready._programs",
    "Shell": "codin.tool.ready._programs",
    "Sql": "codin.tool.ready._sql",
}


def __getattr__(name: str) -> object:
    # Who takes one does not pay for what the others import.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
