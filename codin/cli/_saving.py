"""Files that came from elsewhere, on this disk."""

from __future__ import annotations

from pathlib import Path

__all__ = ["saved"]


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
