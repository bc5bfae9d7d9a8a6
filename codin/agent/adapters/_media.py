"""What kind of file a part is."""

from __future__ import annotations

import mimetypes

from codin import a2a

__all__ = ["media_type_of"]


def media_type_of(part: a2a.Part) -> str:
    """The media type of a file, guessed from its name when it is not given."""
    guessed = mimetypes.guess_type(part.filename or part.url or "")[0]
    return (part.media_type or guessed or "application/octet-stream").partition(";")[0].strip().lower()
