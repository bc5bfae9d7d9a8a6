"""A peer that speaks HTTP/2 frame by frame, and says in them whatever it likes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from tests.server.clock import turns

__all__ = [
    "DATA",
    "END",
    "GOAWAY",
    "HEADERS",
    "PING",
    "RST",
    "SETTINGS",
    "Script",
    "fields",
    "frame",
    "message",
    "saying",
]

DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END = 0x1
"""The flag of the last frame of a stream; of SETTINGS and PING, that of an answer."""

_COMPLETE = 0x4
_PREFACE = 24
_OPENING = 9

Script = Sequence[bytes]
"""What is said behind the question, piece by piece. The last piece is repeated for as long as somebody listens."""


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 1) -> bytes:
    """RFC 9113 4.1."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def fields(*pairs: tuple[bytes, bytes], last: bool = False) -> bytes:
    """A block of fields, as they are: RFC 7541 6.2.2."""
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)
    return frame(HEADERS, block, _COMPLETE | (END if last else 0))


def _text(value: bytes) -> bytes:
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, length = len(value) - 127, bytearray([127])
    while rest > 127:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*length, rest]) + value


def message(body: bytes, *, size: int | None = None, compressed: int = 0) -> bytes:
    """A message of gRPC, with the size that it says it has, in as many frames as it takes."""
    whole = bytes([compressed]) + (len(body) if size is None else size).to_bytes(4) + body
    return b"".join(frame(DATA, whole[at : at + 16384]) for at in range(0, len(whole), 16384))


@asynccontextmanager
async def saying(script: Script, *, for_ever: bool = False, opening: bytes | None = None) -> AsyncGenerator[str]:
    """The address of a peer that says this to whoever asks, and hangs up unless it goes on for ever.

    Args:
        opening: in the place of the settings with which a connection of HTTP/2 begins.
    """
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await _serve(reader, writer, script, opening, for_ever=for_ever)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await turns()  # else a connection that comes just now is taken, and closed by nobody
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script: Script, opening: bytes | None, *, for_ever: bool
) -> None:
    writer.write(frame(SETTINGS, stream=0) if opening is None else opening)
    await reader.readexactly(_PREFACE)
    kind, stream = SETTINGS, 0
    while kind != HEADERS:
        head = await reader.readexactly(_OPENING)
        kind, stream = head[3], int.from_bytes(head[5:])
        await reader.readexactly(int.from_bytes(head[:3]))
        if kind == SETTINGS and not head[4] & END:
            writer.write(frame(SETTINGS, flags=END, stream=0))
    pieces = [_on(piece, stream) for piece in script]
    listening = asyncio.ensure_future(reader.read())  # somebody who hears nothing fills no pipe
    try:
        for number in count():
            if number >= len(pieces) and (not for_ever or listening.done()):
                break
            writer.write(pieces[min(number, len(pieces) - 1)])
            await writer.drain()
            await asyncio.sleep(0)  # who asks is on the same loop
    finally:
        listening.cancel()


def _on(piece: bytes, stream: int) -> bytes:
    """Frames of stream 1 as those of another."""
    made, at = b"", 0
    while at + _OPENING <= len(piece):
        end = at + _OPENING + int.from_bytes(piece[at : at + 3])
        of = stream if piece[at + 5 : at + 9] == b"\0\0\0\1" else int.from_bytes(piece[at + 5 : at + 9])
        made += piece[at : at + 5] + of.to_bytes(4) + piece[at + 9 : end]
        at = end
    return made + piece[at:]
