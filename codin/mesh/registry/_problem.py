"""A request that a registry does not do."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Problem"]


class Problem(Exception):
    """Becomes an answer.

    Args:
        status: of HTTP.
        reason: which programs go by.
        message: which people read.
        hint: what to do next.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.hint = hint
        self.headers = headers
