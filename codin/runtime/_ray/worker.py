"""What a Ray worker keeps from job to job: folders, and the sources that came along."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["import_from", "left", "working_folder"]

_imported: dict[str, str] = {}
"""The digest of the sources that each package has come from last."""
_folders: dict[str, str] = {}
"""Where the sources of a digest lie."""
_spare: list[str] = []
"""Empty working folders."""


def working_folder() -> str:
    """An empty one. Give it to `left` when its job has ended."""
    return _spare.pop() if _spare else tempfile.mkdtemp(dir=_room())


def left(folder: str) -> None:
    """Take a job's folder away; one that is as it was made is the next job's, since a disk takes longer than a job."""
    with contextlib.suppress(OSError):
        if os.lstat(folder).st_mode == stat.S_IFDIR | 0o700 and not os.listdir(folder):  # noqa: PTH208
            _spare.append(folder)
            return
    shutil.rmtree(folder, ignore_errors=True)


def import_from(digest: str, library: Mapping[str, bytes]) -> None:
    """Make the sources that came along importable, in the place of what an earlier job brought by the same names."""
    if not library or digest in _imported.values():
        return
    if digest not in _folders:
        _folders[digest] = _laid_out(library)
    folder = _folders[digest]
    sys.path[:] = [folder, *(place for place in sys.path if place != folder)]
    for top in {path.partition("/")[0].removesuffix(".py") for path in library}:
        _imported[top] = digest
        for name in [name for name in sys.modules if name.partition(".")[0] == top]:
            del sys.modules[name]


def _laid_out(library: Mapping[str, bytes]) -> str:
    folder = Path(tempfile.mkdtemp(dir=_room(), prefix="lib-"))
    for path, content in library.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return str(folder)


@cache
def _room() -> str:
    """This worker's folder, which goes with it, however it ends: a shell waits for that, which is no child of ours."""
    room = tempfile.mkdtemp(prefix="codin-ray-")
    shell = ["sh", "-c", 'exec 3<&0; { cat <&3 >/dev/null; rm -rf -- "$0"; } >/dev/null 2>&1 &', room]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, start_new_session=True) as waiting:
        assert waiting.stdin is not None
        os.dup(waiting.stdin.fileno())  # closed by the kernel alone
    tempfile.tempdir = room
    return room
