"""A sandbox in a machine that somebody rents out. A vendor adds how to get the machine, and a line to it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from importlib.resources import files
from secrets import token_hex
from typing import Any, ClassVar, TypeVar

import anyio

from codin.errors import FileRefused, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox._cloud.process import CloudProcess
from codin.sandbox._cloud.talk import Line, Talk, refused
from codin.sandbox._protocol import FLOOD, Code, FileInfo, Guarantee, Policy, Process, Snapshot
from codin.sandbox._sandbox import Sandbox
from codin.sandbox._to_its_end import done_or_undone, to_its_end

__all__ = ["CloudSandbox", "Expired"]

_logger = logging.getLogger("codin.sandbox")
_T = TypeVar("_T")

_PIECE = 128 * 1024
_LISTING = 64 * 1024 * 1024  # bytes of a list of files, beyond which nobody wants it
_SLACK = 1024 * 1024
_PATIENCE = 600.0  # seconds for a machine to be there
_FAREWELLS, _FAREWELL = 3, 30.0  # how often a machine is given back, and seconds for each time


class Expired(SandboxClosed):
    """The vendor has no such machine any more."""


class CloudSandbox(Sandbox):
    """A machine of somebody else's, with a guest of ours in it for each thing that is asked."""

    vendor: ClassVar[str]
    key_variable: ClassVar[str]
    """The environment variable with the API key."""
    pace: ClassVar[float] = 60.0
    """Seconds between two words to the vendor that the machine is still wanted."""

    def __init__(
        self, policy: Policy | None = None, *, api_key: str | None = None, snapshot: Snapshot | None = None
    ) -> None:
        super().__init__(policy, snapshot=snapshot)
        self._api_key = api_key
        self._name = ""
        """What the machine is known by, at the vendor's too, from before it is asked for."""
        self._is_rented = False
        self._gone: SandboxClosed | None = None
        self._talks: set[Talk] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._leaving = asyncio.Lock()
        self._is_root = True
        self._since = 0

    # What a vendor adds

    @abstractmethod
    async def _rent(self) -> None:
        """Get the machine, labelled with `_name`. Raises SandboxUnavailable, or PolicyNotEnforced."""

    @abstractmethod
    async def _give_back(self) -> None:
        """Delete the machine called `_name`, or what there is of it. Raises SandboxError when it may be there yet."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Let go of what belongs to the client alone."""

    @abstractmethod
    async def _renew(self) -> None:
        """Say that the machine is still wanted. Raises Expired when it is no more."""

    @abstractmethod
    async def _connect(self, talk: Talk) -> Line:
        """Run `BOOT` in the machine, as root where that can be had. When it raises, nothing runs."""

    @abstractmethod
    def _id(self) -> str:
        """The vendor's id of the machine, or what it can be found by."""

    @abstractmethod
    def meant(self, error: Exception) -> SandboxError:
        """An error of the vendor's client as one of ours."""

    # What all vendors have alike

    @property
    def gone(self) -> bool:
        return self._is_rented and self._gone is not None

    def _out_of_reach(self) -> set[Guarantee]:
        """What of the policy no machine elsewhere can do."""
        short: set[Guarantee] = set()
        if self._policy.network == "full":
            short.add("network")  # it has the internet, and not this machine's network
        if self._policy.mounts:
            short.add("files")
        return short

    def _key(self) -> str:
        if key := self._api_key or os.environ.get(self.key_variable):
            return key
        raise SandboxUnavailable(
            f"a sandbox at {self.vendor} needs an API key, and {self.key_variable} has none",
            hint=f"set the environment variable {self.key_variable}, or give api_key=",
        )

    def _words(self, error: Exception) -> str:
        """What an error of the vendor's client says, without the key."""
        return (str(error) or type(error).__name__).replace(self._key(), "***")[:500]

    async def _asked(self, asking: Awaitable[_T]) -> _T:
        """What the vendor answers. Its errors may hold the key, and are left behind."""
        try:
            return await asking
        except SandboxError:
            raise
        except Exception as error:
            meant = self.meant(error)
        raise meant

    # Opening, closing

    async def _open(self) -> None:
        await done_or_undone(self._opened, lambda _: self._close())

    async def _opened(self) -> None:
        self._gone = None
        self._name = f"codin-{token_hex(8)}"
        self._is_rented = True
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._rent()
                async with self._talking({"do": "begin"}, _SLACK) as talk:
                    told = json.loads(b"".join([content async for content in _content(talk, "")]))
            self._is_root, self._since = bool(told["root"]), int(told["since"])
        except (TimeoutError, SandboxClosed, FileRefused) as error:
            await self._close()
            raise SandboxUnavailable(f"{self.vendor} does not bring a machine up: {_said(error)}") from None
        except BaseException:
            await self._close()
            raise
        self._renewing = asyncio.create_task(self._renew_forever())

    async def _close(self) -> None:
        self._lose("it was closed")
        if self._renewing is not None:
            renewing, self._renewing = self._renewing, None
            renewing.cancel()
            await asyncio.wait([renewing])
        for talk in list(self._talks):
            with suppress(SandboxError):
                await talk.close()
        async with self._leaving:
            if self._is_rented:
                await self._given_back()
                self._is_rented = False
                await self._hang_up()

    async def _given_back(self) -> None:
        why = ""
        for attempt in range(_FAREWELLS):
            try:
                async with asyncio.timeout(_FAREWELL):
                    await self._give_back()
                return
            except (SandboxError, TimeoutError) as error:
                why = _said(error)
            await asyncio.sleep(0.5 * attempt)
        _logger.error("%s: the sandbox %s could not be deleted, and may cost money: %s", self.vendor, self._id(), why)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self.pace)
            try:
                await self._renew()
            except Expired as error:
                self._lose(error.message)
                return
            except SandboxError as error:
                _logger.warning(
                    "%s: the time of sandbox %s was not extended: %s", self.vendor, self._id(), error.message
                )

    def _lose(self, why: str) -> None:
        """The machine is no more, as far as anybody here is concerned."""
        if self._gone is None:
            self._gone = SandboxClosed(f"the {self.kind} sandbox is gone: {why}", hint="open another one")
        for talk in self._talks:
            talk.over(why)

    # Commands and files

    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        limits = self._policy.limits
        bounds = {"memory": limits.memory, "processes": limits.processes, "disk": limits.disk}
        budget = FLOOD * limits.output + _SLACK
        asked: dict[str, Any] = {"do": "run", "env": dict(env), "cwd": cwd, "limits": bounds, "budget": budget}
        if isinstance(command, Code):
            asked["code"] = command.source
            asked["argv"] = []
        else:
            asked["argv"] = list(command)
        process = CloudProcess(await self._begin(asked, budget + _SLACK), self._finish)
        try:
            await process.begun(cwd)
        except BaseException:
            await to_its_end(process.close)
            raise
        return process

    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        async with self._talking({"do": "write", "path": path}, _SLACK) as talk:
            await _expected(talk, path, "s")
            try:
                async for chunk in content:
                    for start in range(0, len(chunk), _PIECE):
                        await talk.give(chunk[start : start + _PIECE])
                await talk.send(b"c")
            except BaseException:
                with anyio.CancelScope(shield=True), suppress(SandboxError):
                    await talk.send(b"q")
                    await talk.next()
                raise
            await _expected(talk, path, "x")

    async def _read(self, path: str, /) -> AsyncIterator[bytes]:
        most = self._policy.limits.disk + 1
        async with self._talking({"do": "read", "path": path, "most": most}, most + _SLACK) as talk:
            async for content in _content(talk, path):
                yield content

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        async with self._talking({"do": "list", "path": path, "most": _LISTING}, _LISTING + _SLACK) as talk:
            try:
                return [_info(json.loads(content)) async for content in _content(talk, path)]
            except (ValueError, TypeError, KeyError, RecursionError):
                raise SandboxClosed(
                    f"the {self.kind} sandbox says what no guest says", hint="open another one"
                ) from None

    @asynccontextmanager
    async def _talking(self, asked: Mapping[str, Any], most: int) -> AsyncGenerator[Talk]:
        talk = await self._begin(asked, most)
        try:
            yield talk
        finally:
            await to_its_end(partial(self._ended, talk))

    async def _begin(self, asked: Mapping[str, Any], most: int) -> Talk:
        """Have a guest begin with what is asked."""
        if self._gone is not None:
            raise SandboxClosed(self._gone.message, hint=self._gone.hint)
        talk = Talk(most)
        self._talks.add(talk)
        await done_or_undone(partial(self._booted, talk, asked), lambda _: self._ended(talk))
        return talk

    async def _booted(self, talk: Talk, asked: Mapping[str, Any]) -> None:
        try:
            talk.hold(await self._connect(talk))
            await talk.until_ready()
            await talk.send(json.dumps({**asked, "word": talk.word, "guest": _guest()}).encode())
        except BaseException as error:
            if isinstance(error, Expired):
                self._lose(error.message)
            await self._ended(talk)
            raise

    async def _ended(self, talk: Talk) -> None:
        """Nothing of a conversation is left when this answers."""
        try:
            if talk.lost and self._gone is None:
                self._lose(talk.gone().message)
            await talk.close()
        finally:
            self._talks.discard(talk)

    async def _finish(self, talk: Talk, is_stray: bool) -> None:
        """A command is over. Where it has killed its guest, end what is left of it, and all that runs beside it."""
        await self._ended(talk)
        if is_stray and not self._is_root and self._gone is None:
            async with self._talking({"do": "sweep", "since": self._since}, _SLACK) as talk:
                await _expected(talk, "", "x")


async def _content(talk: Talk, path: str) -> AsyncIterator[bytes]:
    while (frame := await _frame(talk, path))[0] == "d":
        yield frame[1]


async def _expected(talk: Talk, path: str, kind: str) -> None:
    while (await _frame(talk, path))[0] != kind:
        pass


async def _frame(talk: Talk, path: str) -> tuple[str, bytes]:
    if (frame := await talk.next()) is None:
        raise SandboxClosed("the machine ended what it was asked to do", hint="open another sandbox")
    kind, data = frame
    if kind == "r":
        raise refused(path, data)
    return kind, data


def _info(told: Any) -> FileInfo:
    path, size, is_folder = told
    if not isinstance(path, str) or not isinstance(size, int) or not path or size < 0:
        raise ValueError(told)
    return FileInfo(path, size, bool(is_folder))


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, SandboxError) else "it takes too long"


@cache
def _guest() -> str:
    return (files("codin.sandbox._cloud") / "guest.py").read_text(encoding="utf-8")
