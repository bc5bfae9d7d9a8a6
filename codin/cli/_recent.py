"""The last conversation with each agent, remembered in one small file of the user's."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from codin.cli._schema import mapping

__all__ = ["recent_context", "remember_context"]

_KEPT = 100


def recent_context(url: str) -> str | None:
    """The context of the last answer from a URL; None when none is remembered."""
    return _read().get(_key(url))


def remember_context(url: str, context_id: str) -> None:
    """Remember a context. Where nothing can be written, nothing is: it is a convenience."""
    known = _read()
    if known.pop(_key(url), None) == context_id:
        return
    kept = dict([*known.items(), (_key(url), context_id)][-_KEPT:])
    with contextlib.suppress(OSError, RuntimeError):
        _place().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A file that is replaced as a whole is never read half.
        descriptor, name = tempfile.mkstemp(dir=_place().parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
        Path(name).replace(_place())


def _read() -> dict[str, str]:
    try:
        known = mapping(json.loads(_place().read_text(encoding="utf-8")))
    except (OSError, ValueError, RuntimeError):  # the last one when there is no home
        return {}
    return {url: context for url, context in known.items() if isinstance(context, str)}


def _place() -> Path:
    """Source: XDG Base Directory Specification, `XDG_STATE_HOME`."""
    given = os.environ.get("XDG_STATE_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    return home / "codin" / "contexts.json"


def _key(url: str) -> str:
    return url.rstrip("/")
