"""Wall time as the log needs it: milliseconds since 1970, and their RFC 3339 text."""

from __future__ import annotations

import time

_cached: tuple[int, str] = (-1, "")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def timestamp(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`. Spec 5.6.1."""
    global _cached
    second, rest = divmod(ms, 1000)
    cached = _cached
    if second != cached[0]:  # strftime once a second, not once an entry
        _cached = cached = (second, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)))
    return f"{cached[1]}{rest:03d}Z"
