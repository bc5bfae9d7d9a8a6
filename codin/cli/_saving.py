"""Files that came from elsewhere, on this disk."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from codin.cli._terminal import plain

__all__ = ["saved", "saved_in"]


def saved(wanted: Path, content: bytes) -> Path:
    """Save a file, never over another one. Returns its path: the wanted one, or with a number where that is taken."""
    path, number = wanted, 1
    while True:
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
            path = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        else:
            return path


def saved_in(folder: Path, name: str | None, content: bytes) -> Path:
    """Save a file under the name that a peer gave it, inside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = PurePosixPath(plain(name or "").replace("\\", "/")).name.lstrip(".").replace("\n", "") or "file"
    return saved(folder / wanted[-200:], content)
