"""The files of a folder that are read, and why the others are not."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from codin.errors import ConfigError
from codin.memory.retrieval._document import Unreadable
from codin.memory.retrieval._ignored import Rule, is_ignored, rules_of
from codin.memory.retrieval._kinds import kind_of
from codin.memory.retrieval._limits import IngestLimits

__all__ = ["Files", "content_of", "files_of"]

# What programs put beside texts: nobody has written it to be read.
_MADE = frozenset({"node_modules", "__pycache__", "site-packages"})
_IGNORE = ".gitignore"
_RULES = 64 * 1024


@dataclass(slots=True)
class Files:
    """What a folder has.

    Args:
        root: what the sources are relative to.
        whole: whether they are all of it, and not the one file that was named.
        sources: paths with `/`, in order.
        skipped: paths, and why they are not read.
    """

    root: Path
    whole: bool = True
    sources: list[str] = field(default_factory=list[str])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def files_of(path: Path, limits: IngestLimits, *, hidden: bool) -> Files:
    """The files of a folder; or the one file that is named.

    Links are not followed, wherever they lead. Raises ConfigError.
    """
    try:
        named = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read", hint=getattr(error, "strerror", None)) from None
    if named.is_dir():
        found = Files(named)
        _Walk(found, limits, hidden).go(named, (), ())
        found.sources.sort()
        return found
    found = Files(named.parent, whole=False)
    if kind_of(named.name) is None:
        found.skipped.append((named.name, _unknown(named.name)))
    else:
        found.sources.append(named.name)
    return found


class _Walk:
    """Goes through a folder, depth first."""

    def __init__(self, found: Files, limits: IngestLimits, hidden: bool) -> None:
        self._found = found
        self._limits = limits
        self._hidden = hidden

    def go(self, folder: Path, parts: tuple[str, ...], rules: Sequence[Rule]) -> None:
        skipped = self._found.skipped
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(("/".join(parts) or ".", f"the folder cannot be read: {error.strerror}"))
            return
        rules = [*rules, *_rules_in(folder, parts)]
        for entry in entries:
            inner = (*parts, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if self._is_left_out(entry, is_folder) or is_ignored(rules, inner, is_folder=is_folder):
                continue
            if not is_folder:
                self._file(entry, "/".join(inner))
            elif len(inner) > self._limits.depth:
                skipped.append(("/".join(inner), f"more than {self._limits.depth} folders within each other"))
            else:
                self.go(folder / entry.name, inner, rules)

    def _is_left_out(self, entry: os.DirEntry[str], is_folder: bool) -> bool:
        """What nobody wants to be told of."""
        if entry.name.startswith(".") and (not self._hidden or entry.name in (".git", ".venv")):
            return True
        return is_folder and (entry.name in _MADE or Path(entry.path, "pyvenv.cfg").exists())

    def _file(self, entry: os.DirEntry[str], source: str) -> None:
        if why := _why_not(entry, source):
            self._found.skipped.append((source.encode("utf-8", "replace").decode(), why))
        else:
            self._found.sources.append(source)
        if len(self._found.sources) + len(self._found.skipped) > self._limits.files:
            hint = "ingest its folders one by one"
            raise ConfigError(f"{str(self._found.root)!r} has more than {self._limits.files} files", hint=hint)


def _why_not(entry: os.DirEntry[str], source: str) -> str:
    if entry.is_symlink():
        return "a symbolic link is not followed"
    if not entry.is_file(follow_symlinks=False):
        return "it is no file"
    try:
        source.encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    return "" if kind_of(entry.name) is not None else _unknown(entry.name)


def _unknown(name: str) -> str:
    return f"no reader for {Path(name).suffix.lower()}"


def _rules_in(folder: Path, parts: tuple[str, ...]) -> Sequence[Rule]:
    with suppress(OSError, Unreadable):
        return rules_of(content_of(folder / _IGNORE, _RULES).decode("utf-8", "replace"), parts)
    return ()


def content_of(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises Unreadable, OSError."""
    # What was a file a moment ago may be a link or a pipe by now; a pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is no file")
        # As many bytes are set aside as are asked for; one more shows that it grows meanwhile.
        content = file.read(min(status.st_size, most) + 1)
    if len(content) > most:
        raise Unreadable(f"it has more than {most:,} bytes")
    return content
