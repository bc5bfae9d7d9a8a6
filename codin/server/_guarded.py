"""What of an error a client may see."""

from __future__ import annotations

import logging

from codin import a2a
from codin.errors import CodinError

__all__ = ["guarded"]

_logger = logging.getLogger("codin.server")


def guarded(error: Exception) -> a2a.A2AError:
    """The error a client sees: protocol errors as they are, anything else without its text."""
    if isinstance(error, a2a.A2AError):
        return error
    if isinstance(error, CodinError):
        _logger.error("a request failed: %s", error)
    else:
        _logger.error("a request failed", exc_info=error)
    return a2a.InternalError("the server failed; details are in its log")
