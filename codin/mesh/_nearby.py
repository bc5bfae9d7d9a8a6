"""Servers of this user on this machine find each other: each leaves a note in a folder that only the user can open.

A server holds a lock on its note for as long as it lives. A note that nobody holds is of a server that is gone,
however it went, and whoever sees it removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from codin.errors import ConfigError
from codin.mesh._cards import Cards, select
from codin.mesh._directory import Found
from codin.mesh._reader import Reader
from codin.net import Transport

__all__ = ["Nearby", "Note", "runtime_folder"]

_MAX_NOTES = 1000
_MAX_NOTE = 256 * 1024


class Nearby:
    """The agents that this user serves on this machine.

    Args:
        folder: where the notes are; None is the usual place.
        transport: how cards are read, when more than a name is asked for.
    """

    def __init__(self, folder: Path | None = None, *, transport: Transport | str | None = None) -> None:
        self._folder = folder
        self._reader = Reader(transport)
        self._cards = Cards(self._reader)

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """Those that fit. Asked for a name only, it reads no card: the notes know the names."""
        noted = [found for found in self._noted() if name is None or name.casefold() in _names(found)]
        if noted and (skill, tag, text) != (None, None, None):
            noted = await self._cards.of(found.url for found in noted)
        return select(noted, name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        await self._reader.aclose()

    def _noted(self) -> list[Found]:
        try:
            folder = self._folder or runtime_folder(create=False)
        except ConfigError:  # not this user's, so nobody is there
            return []
        return [found for path in _notes(folder) for found in _read(path)]


@dataclass
class Note:
    """What a server leaves, and takes away when it ends."""

    path: Path
    _descriptor: int

    @classmethod
    def leave(cls, agents: Sequence[Found], folder: Path | None = None) -> Note:
        """Write a note.

        Args:
            agents: whose id, name, identity and URL it says.

        Raises:
            ConfigError: there is no folder that is this user's alone.
            OSError: it cannot be written.
        """
        folder = folder or runtime_folder(create=True)
        listed = [
            {"id": agent.id, "name": agent.name, "identity": agent.identity, "url": agent.url} for agent in agents
        ]
        words = {"pid": os.getpid(), "agents": listed}
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")  # 0600
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held from before it can be seen
            os.write(descriptor, json.dumps(words).encode())
            path = folder / f"{os.getpid()}-{os.urandom(4).hex()}.json"
            Path(temporary).rename(path)
        except BaseException:
            os.close(descriptor)
            Path(temporary).unlink(missing_ok=True)
            raise
        return cls(path, descriptor)

    def remove(self) -> None:
        """Take the note away."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def runtime_folder(*, create: bool) -> Path:
    """The folder of the notes: `$CODIN_RUNTIME`, else below `$XDG_RUNTIME_DIR`, else below the temporary folder.

    Raises:
        ConfigError: it is somebody else's, or others may look into it.
    """
    given = os.environ.get("CODIN_RUNTIME")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if given:
        folder = Path(given)
    elif Path(runtime).is_absolute() and Path(runtime).is_dir():
        folder = Path(runtime) / "codin"
    else:
        folder = Path(tempfile.gettempdir()) / f"codin-{os.getuid()}"
    if create:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    try:
        found = folder.lstat()
    except OSError as error:
        raise ConfigError(f"the folder {str(folder)!r} is not there: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(
            f"the folder {str(folder)!r} is not this user's alone", hint="chmod 700, or name another: CODIN_RUNTIME"
        )
    return folder


def _notes(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.glob("*.json"))[:_MAX_NOTES]


def _read(path: Path) -> list[Found]:
    """What a note says; nothing, and no note any more, when its server is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            return []
        if _abandoned(descriptor):
            path.unlink(missing_ok=True)
            return []
        words: object = json.loads(os.read(descriptor, _MAX_NOTE))
        return list(_agents(words))
    except (OSError, ValueError):
        return []
    finally:
        os.close(descriptor)


def _abandoned(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _agents(words: object) -> Iterator[Found]:
    agents = cast("dict[str, object]", words).get("agents") if isinstance(words, dict) else None
    for agent in cast("list[object]", agents) if isinstance(agents, list) else []:
        match agent:
            case {"id": str(agent_id), "name": str(name), "identity": str() | None as identity, "url": str(url)}:
                yield Found(agent_id, name, url, identity=identity, health="healthy")
            case _:
                pass


def _names(found: Found) -> set[str]:
    return {found.id.casefold(), found.name.casefold()}
