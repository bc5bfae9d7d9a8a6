"""Server-sent events, both directions, as bytes.

Source: HTML standard, section 9.2 «Server-sent events».
"""

from __future__ import annotations

from typing import NamedTuple

from codin.errors import ResponseTooLarge

__all__ = ["SSEDecoder", "SSEEvent", "sse_event"]

MAX_EVENT = 16 * 1024 * 1024
_LINE_ENDS = (b"\n", b"\r")
_BOM = b"\xef\xbb\xbf"


class SSEEvent(NamedTuple):
    """One event. `id` is the event's own; `SSEDecoder.last_id` keeps the last one seen."""

    id: str | None
    event: str
    data: bytes


def sse_event(data: bytes, id: int | None = None) -> bytes:
    """An event on the wire; `data` is JSON or any other text."""
    if b"\n" in data or b"\r" in data:  # JSON as it is written here has neither
        data = b"\ndata: ".join(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    if id is None:
        return b"data: " + data + b"\n\n"
    return b"id: %d\ndata: %b\n\n" % (id, data)


class SSEDecoder:
    """Makes events of bytes that arrive in any pieces.

    Args:
        max_event: bytes that one event may hold, so that a peer cannot fill the memory.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self.last_id: str | None = None
        self._max_event = max_event
        self._rest = bytearray()  # of the line that is not complete yet
        self._size = 0  # bytes held: of that line and of the data
        self._after_cr = False
        self._at_start = True
        self._id: str | None = None
        self._event = ""
        self._data: bytes | bytearray | None = None  # one object however many lines it is of, which may be tiny

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """The events that are complete with this chunk.

        Raises:
            ResponseTooLarge: an event beyond the bound. The decoder is of no use after it.
        """
        if self._after_cr and chunk:  # the first half of this CRLF has ended the line already
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        events: list[SSEEvent] = []
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith(_LINE_ENDS) else lines.pop()
        for line in lines:
            self._line(line, events)
        self._after_cr = chunk.endswith(b"\r")
        if rest:
            self._rest += rest
            self._hold(len(rest))
        return events

    def _line(self, line: bytes, events: list[SSEEvent]) -> None:
        if self._rest:
            self._size -= len(self._rest)
            line = bytes(self._rest + line)
            self._rest.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(b":")  # a comment has an empty name
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data = value if self._data is None else _added(self._data, value)
            self._hold(len(value) + 1)
        elif name == b"id":
            if b"\0" not in value:
                self._id = self.last_id = value.decode("utf-8", "replace")
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")

    def _dispatch(self, events: list[SSEEvent]) -> None:
        if self._data is not None:
            events.append(SSEEvent(self._id, self._event or "message", bytes(self._data)))
        self._id, self._event, self._data, self._size = None, "", None, 0

    def _hold(self, count: int) -> None:
        self._size += count
        if self._size > self._max_event:
            raise ResponseTooLarge(f"An event of the stream is larger than {self._max_event} bytes")


def _added(data: bytes | bytearray, line: bytes) -> bytearray:
    """The data with one more line: the very object, from the second line on."""
    held = bytearray(data) if isinstance(data, bytes) else data
    held += b"\n" + line
    return held
