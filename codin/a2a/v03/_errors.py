"""What of the errors a peer of 0.3 knows."""

from __future__ import annotations

from codin import a2a

__all__ = ["known_error"]

_NEW = (a2a.ExtensionSupportRequired, a2a.VersionNotSupported)


def known_error(error: a2a.A2AError) -> a2a.A2AError:
    """The error, or for one that came with 1.0 the nearest that 0.3 has, which keeps reason and hint."""
    if not isinstance(error, _NEW):
        return error
    return a2a.UnsupportedOperation(
        error.message, hint=error.hint, reason=error.reason, metadata=error.metadata, retry_after=error.retry_after
    )
