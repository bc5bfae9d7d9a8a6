"""The headers of an HTTP answer that is a refusal."""

from __future__ import annotations

from codin import a2a
from codin.server._admission import NotAllowed, NotKnown
from codin.server._operations import correlation

__all__ = ["refusal_fields"]


def refusal_fields(error: a2a.A2AError, status: int) -> list[tuple[bytes, bytes]]:
    """What goes with an error beside its body: the challenge, when to come again, the correlation id."""
    fields = correlation()
    if isinstance(error, NotKnown | NotAllowed):
        fields.append((b"www-authenticate", error.challenge.encode("latin-1")))
    elif status == 401:
        fields.append((b"www-authenticate", b"Bearer"))
    if status == 413:
        fields.append((b"connection", b"close"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    return fields
