"""What every database takes as a text."""

from __future__ import annotations

__all__ = ["storable"]


def storable(text: str) -> str:
    """The text with U+FFFD in place of NUL and of halves of letters, which are letters of no language."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.replace("\x00", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
