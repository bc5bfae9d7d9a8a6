"""The interpreter of wasm sandboxes as a file: built from the guest's source once, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from wasmtime import component as wit

from codin.errors import SandboxUnavailable
from codin.sandbox._wasm._machine import SETTINGS, engine

__all__ = ["build", "forget", "found", "place"]

_GUEST = Path(__file__).parent / "guest"


def found() -> Path | None:
    """The interpreter, when it was built before and is what was written then."""
    path = place()
    digest = path.with_suffix(".sha256")
    try:
        right = digest.read_text() == _digest(path)
    except OSError:
        return None
    return path if right else None


def forget() -> None:
    """Have it built anew."""
    place().with_suffix(".sha256").unlink(missing_ok=True)


def build() -> Path:
    """Build the interpreter, unless somebody else does so first. It takes about a minute of one core.

    Raises:
        SandboxUnavailable: what builds it is not installed, or fails.
    """
    built = place()
    with _alone(built.parent):
        if (there := found()) is not None:
            return there
        for left in built.parent.glob("build-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a builder that was killed
        with tempfile.TemporaryDirectory(prefix="build-", dir=built.parent) as name:
            work = Path(name)
            component = wit.Component(engine(), _component(work))
            compiled = work / "compiled"
            compiled.write_bytes(component.serialize())
            digest = work / "digest"
            digest.write_text(_digest(compiled))
            compiled.replace(built)
            digest.replace(built.with_suffix(".sha256"))
    return built


def _component(work: Path) -> bytes:
    try:
        import componentize_py
    except ImportError as error:
        raise SandboxUnavailable(
            "the Python of wasm sandboxes has not been built, and componentize-py is not installed",
            hint="pip install 'codin[wasm]'",
        ) from error
    made, guest, empty = work / "python.wasm", work / "guest", work / "environment"
    guest.mkdir()
    empty.mkdir()
    for file in _sources():
        shutil.copy(file, guest)  # it leaves bytecode beside them
    os.environ["VIRTUAL_ENV"] = str(empty)  # or else it looks through the packages of this environment
    sys.argv = ["componentize-py", "-q", "-d", str(guest / "world.wit"), "-w", "python", "componentize"]
    sys.argv += ["-p", str(guest), "interpreter", "-o", str(made)]
    try:
        cast("Any", componentize_py).script()  # what its command does; it has no types
    except (AssertionError, SystemExit) as error:
        if not made.exists():
            raise SandboxUnavailable(f"the Python of wasm sandboxes could not be built: {error}") from error
    return made.read_bytes()


def place() -> Path:
    """Where it is, by all that it depends on."""
    parts = [_installed("wasmtime"), _installed("componentize-py"), sys.platform, platform.machine(), SETTINGS]
    source = b"".join(file.read_bytes() for file in _sources())
    key = hashlib.sha256("\0".join(parts).encode() + source).hexdigest()[:16]
    return _folder() / f"python-{key}.compiled"


def _sources() -> list[Path]:
    return [_GUEST / "interpreter.py", _GUEST / "world.wit"]


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _folder() -> Path:
    """A folder that nobody else can write to: what lies in it is run on the host as it is."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codin" / "wasm"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise SandboxUnavailable(
            f"the Python of wasm sandboxes has no place: {error}", hint="set XDG_CACHE_HOME to a folder of yours"
        ) from error
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
        raise SandboxUnavailable(
            f"{str(path)!r} is not private, and what lies there would be run",
            hint="remove it, or make it yours alone with chmod 700",
        )
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One builder at a time; the system lets go of the lock when its holder dies."""
    with (folder / "lock").open("w") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:
                    continue  # it gives up after ten seconds
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        build()
    except SandboxUnavailable as error:
        sys.exit(str(error))
