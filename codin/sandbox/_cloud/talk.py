"""One conversation with a guest: what it says, checked, and whether it is still there."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64encode
from collections import deque
from functools import partial
from secrets import token_hex
from typing import Protocol

from codin.errors import FileRefused, SandboxClosed, SandboxError
from codin.sandbox._to_its_end import to_its_end

__all__ = ["BOOT", "Line", "Talk", "refused"]

_READY = b"codin-guest-is-here"
BOOT = (
    "python3 -ISuc '"
    "import sys, json, os\n"
    "if os.isatty(0): __import__(\"tty\").setraw(0)\n"
    'print("codin-guest-is" + "-here")\n'
    'r = json.loads(sys.stdin.readline())\n'
    'exec(compile(r.pop("guest"), "guest", "exec"))'
    "'"
)  # fmt: skip
"""The command that begins a guest. A terminal may say it again, so that it does not hold the word it answers with."""

_LONGEST = 256 * 1024  # bytes of a line; a guest says no longer ones
_NOISE = 64 * 1024  # bytes that a shell may say before the guest is there
_SILENCE = 60.0  # seconds; a guest says something every five
_KINDS = frozenset(b"oedrxs")


class Line(Protocol):
    """A way to a program in the machine: what it says goes to `Talk.feed`, and its end to `Talk.over`."""

    async def send(self, data: bytes, /) -> None: ...

    async def close(self) -> None:
        """Hang up, and see to it that the program ends. Does nothing when that was done."""
        ...


class Talk:
    """What a guest says, from the line that the vendor's client feeds it.

    Args:
        most: bytes of content that it may say at most, beyond which it is no guest of ours.
    """

    def __init__(self, most: int) -> None:
        self.word = token_hex(16)
        self.last: bytes | None = None
        """Its last word, if it has said one."""
        self._most = most
        self._line: Line | None = None
        self._rest = b""
        self._begun = False
        self._frames: deque[tuple[str, bytes]] = deque()
        self._why: str | None = None
        self._change = asyncio.Event()
        self._over = asyncio.Event()
        self._taken: asyncio.Future[None] | None = None
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._watch = self._loop.call_later(_SILENCE, self._listen)

    @property
    def finished(self) -> bool:
        """It has said its last word, or has ended without one."""
        return self._over.is_set()

    @property
    def lost(self) -> bool:
        """The line broke, or what came over it was no guest's."""
        return bool(self._why)

    def hold(self, line: Line) -> None:
        self._line = line

    async def until_ready(self) -> None:
        while not self._begun:
            if self._why is not None:
                raise self.gone()
            await self._changed()

    async def until_finished(self) -> None:
        await self._over.wait()

    async def send(self, data: bytes) -> None:
        """Give it a line; it is sent as a whole, or the line is lost."""
        await to_its_end(partial(self._send, data + b"\n"))

    async def give(self, data: bytes) -> None:
        """Give it content, and wait until it is taken."""
        if self.finished:
            return
        self._taken = self._loop.create_future()
        await self.send(b"i" + b64encode(data))
        await self._taken

    async def next(self) -> tuple[str, bytes] | None:
        """The next frame; None when the guest has ended without a last word. Raises SandboxClosed when it is lost."""
        while not self._frames:
            if self._why:
                raise self.gone()
            if self._why == "":
                return None
            await self._changed()
        return self._frames.popleft()

    async def close(self) -> None:
        self._watch.cancel()
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()
        self.over("it was closed")

    def feed(self, data: bytes) -> None:
        """What has come over the line."""
        self._heard = self._loop.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._begun:
                self._frame(line)
            elif _READY in line:
                self._begun = True
                self._change.set()
        if len(self._rest) > (_LONGEST if self._begun else _NOISE):
            self.over("it says what no guest says")

    def over(self, why: str) -> None:
        """The program has ended; `why` is empty unless the line to it was lost before."""
        if self._why is None:
            self._why = why if self.last is None else ""
        self._finish()

    def gone(self) -> SandboxClosed:
        return SandboxClosed(f"the machine does not answer any more: {self._why}", hint="open another sandbox")

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            if self._line is not None and not self.finished:
                try:
                    await self._line.send(data)
                except SandboxError as error:
                    self.over(error.message)
                    raise

    async def _changed(self) -> None:
        self._change.clear()
        await self._change.wait()

    def _frame(self, line: bytes) -> None:
        word, kind, content = (
            line[: len(self.word)],
            line[len(self.word) : len(self.word) + 1],
            line[len(self.word) + 1 :],
        )
        if self.finished or word != self.word.encode() or not kind:
            return  # a terminal shows what anybody writes to it
        try:
            data = binascii.a2b_base64(content.strip(), strict_mode=True) if content.strip() else b""
        except binascii.Error:
            self.over("it says what no guest says")
            return
        self._most -= len(data)
        if self._most < 0:
            self.over("it says more than a guest does")
        elif kind == b"a":
            self._take()
        elif kind[0] in _KINDS:
            self._frames.append((kind.decode(), data))
            self._change.set()
            if kind in (b"x", b"r"):
                self.last = data
                self._finish()

    def _finish(self) -> None:
        self._over.set()
        self._take()
        self._change.set()

    def _take(self) -> None:
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)

    def _listen(self) -> None:
        silent = self._loop.time() - self._heard
        if silent >= _SILENCE:
            self.over(f"it has said nothing for {silent:.0f} s")
        elif not self.finished:
            self._watch = self._loop.call_later(_SILENCE - silent, self._listen)


def refused(path: str, data: bytes) -> FileRefused:
    """What a guest refuses to do with a file."""
    why = data[:200].decode(errors="replace")
    hint = "raise the machine's disk, or take something away" if "No space" in why else None
    return FileRefused(f"{path!r} is refused: {why}", path=path, hint=hint)
