"""What a caller is told of an error that ended a run, and what the log is told."""

from __future__ import annotations

import logging

from codin import a2a
from codin.errors import ConnectError, DeadlineExceeded, MeshError, NoAgent, TransportError, TrustError
from codin.trust import CALL_REASONS

__all__ = ["report"]

_logger = logging.getLogger("codin.task")

# The names of other agents, their addresses and what they said are no business of whoever called this one.
_SAID: tuple[tuple[type[Exception], str], ...] = (
    (ConnectError, "Another agent that this one needs could not be reached"),
    (DeadlineExceeded, "Another agent that this one needs did not answer in time"),
    (TransportError, "Another agent that this one needs did not answer as it should"),
    (NoAgent, "Another agent that this one needs is not to be found"),
    (MeshError, "Another agent that this one needs could not be reached"),
    (TrustError, "Another agent that this one needs is not one that it trusts"),
    (a2a.A2AError, "A call that this agent made was refused"),
)


def report(error: BaseException, who: str) -> str:
    """Log an error that a handler raised, and give the words for the caller.

    An error of a call says all there is to know in one line; its traceback, which is mostly the HTTP client's, is
    logged for debugging only.

    Args:
        who: what the log calls the run.
    """
    kind = type(error).__name__
    if isinstance(error, a2a.A2AError) and error.reason in CALL_REASONS:
        kind = error.reason
    for known, said in _SAID:
        if isinstance(error, known):
            _logger.error("%s: the agent raised %s: %s", who, kind, error)
            _logger.debug("%s", who, exc_info=error)
            return f"{said} ({kind})"
    _logger.error("%s: the agent raised", who, exc_info=error)
    return f"The agent failed ({kind})"
