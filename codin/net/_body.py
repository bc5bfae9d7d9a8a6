"""What a body is, and reading it within its bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from codin.errors import BadResponse, ResponseTooLarge
from codin.net._wording import shown

__all__ = ["check_encoding", "check_length", "is_json", "read_bounded"]


def is_json(media_type: str) -> bool:
    """Whether it is JSON, by itself or by its suffix."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain == "application/json" or plain.endswith("+json")


def check_encoding(headers: Mapping[str, str], url: str) -> None:
    """Refuse a body in an encoding that was not asked for."""
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise BadResponse(f"{shown(url)} answered with Content-Encoding {encoding!r}, which was not accepted.")


def check_length(headers: Mapping[str, str], limit: int, url: str) -> int | None:
    """The declared length of the body; None when none is declared."""
    declared = headers.get("content-length")
    if declared is None or not declared.isdecimal():
        return None
    length = int(declared)
    if length > limit:
        raise too_large(limit, url)
    return length


async def read_bounded(chunks: AsyncIterator[bytes], limit: int, url: str) -> bytes:
    """Join `chunks`, of at most `limit` bytes together."""
    pieces: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit, url)
        pieces.append(chunk)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def too_large(limit: int, url: str) -> ResponseTooLarge:
    """The error for a body that is longer than allowed."""
    return ResponseTooLarge(f"The answer of {shown(url)} is longer than {limit} bytes.")
