"""The migrations of a database, as they are shipped: `migrations/NNNN_name.sql` in a package."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["scripts_of"]


def scripts_of(package: str) -> list[str]:
    """The scripts beside the modules of a package, in their order: the first is version 1."""
    folder = files(package) / "migrations"
    scripts = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [script.read_text(encoding="utf-8") for script in scripts]
