"""The bounds of an ingestion, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IngestLimits"]


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """How much is read. A file that is beyond a bound is skipped, or cut where that is said; both are told.

    Args:
        file_bytes: of one file.
        files: of one folder; more than these is an error.
        depth: of folders within folders.
        seconds: to read one file.
        pages: of a PDF; the rest is left out.
        chunks: of one file; the rest is left out.
        pdf_memory: bytes that the reading of a PDF may take.
    """

    file_bytes: int = 20 * 1024 * 1024
    files: int = 100_000
    depth: int = 32
    seconds: float = 30.0
    pages: int = 2_000
    chunks: int = 5_000
    pdf_memory: int = 1024 * 1024 * 1024
