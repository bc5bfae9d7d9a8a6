"""Wall time as the log needs it: milliseconds since 1970, and their RFC 3339 text."""

from __future__ import annotations

import time

_second: tuple[int, bytes] = (-1, b"")
_newest: tuple[int, bytes] = (-1, b"")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def timestamp(ms: int) -> bytes:
    """RFC 3339 in UTC with milliseconds and `Z`. Spec 5.6.1."""
    global _second, _newest
    newest = _newest
    if newest[0] == ms:
        return newest[1]
    number, rest = divmod(ms, 1000)
    second = _second
    if second[0] != number:  # strftime once a second, not once an entry
        _second = second = (number, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(number)).encode())
    text = b"%s%03dZ" % (second[1], rest)
    _newest = (ms, text)
    return text
