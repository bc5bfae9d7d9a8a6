"""Tokens that were used: each counts once."""

from __future__ import annotations

from codin import a2a

__all__ = ["UsedTokens"]

_FEW = 1000
_MOMENT = 1.0  # seconds


class UsedTokens:
    """The tokens that were used and are still good, of one process.

    When it is full, nobody new comes in until the oldest expire: to forget one would be to let it in again.
    """

    def __init__(self, most: int = 200_000) -> None:
        """Args: most: how many are kept."""
        self._most = most
        self._expiries: dict[str, float] = {}
        self._look_at = min(most, _FEW)
        self._full_until = 0.0

    def use(self, token_id: str, expires: float, now: float) -> bool:
        """Note that a token is used; False when it was before.

        Raises:
            Overloaded: there is no more room.
        """
        if token_id in self._expiries:
            return False
        if len(self._expiries) >= self._look_at:
            self._forget(now)
        self._expiries[token_id] = expires
        return True

    def _forget(self, now: float) -> None:
        """Drop what has expired, and look again when twice as many are there: a look costs each token next to nothing.

        Raises:
            Overloaded: all are still good, or were a moment ago.
        """
        if now < self._full_until:
            raise _too_many()
        self._expiries = {token_id: expires for token_id, expires in self._expiries.items() if expires > now}
        if len(self._expiries) >= self._most:
            self._full_until = now + _MOMENT
            raise _too_many()
        self._look_at = min(self._most, max(_FEW, 2 * len(self._expiries)))


def _too_many() -> a2a.Overloaded:
    return a2a.Overloaded("too many calls at once", retry_after=5.0)
