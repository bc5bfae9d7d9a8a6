"""Wall time as the log needs it: milliseconds since 1970, and their RFC 3339 text."""

from __future__ import annotations

import time

__all__ = ["now_ms", "timestamp"]


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


class _Timestamps:
    """Remembers the newest text, and the newest second: strftime once a second, not once an entry."""

    __slots__ = ("_newest", "_second")

    def __init__(self) -> None:
        self._second = (-1, b"")
        self._newest = (-1, b"")

    def text(self, ms: int) -> bytes:
        """RFC 3339 in UTC with milliseconds and `Z`. Spec 5.6.1."""
        newest = self._newest
        if newest[0] == ms:
            return newest[1]
        number, rest = divmod(ms, 1000)
        second = self._second
        if second[0] != number:
            self._second = second = (number, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(number)).encode())
        text = b"%s%03dZ" % (second[1], rest)
        self._newest = (ms, text)
        return text


timestamp = _Timestamps().text
