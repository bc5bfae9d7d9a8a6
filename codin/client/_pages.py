"""From page to page of a list."""

from __future__ import annotations

from codin.errors import BadResponse

__all__ = ["Pages"]

_EMPTY = 100


class Pages:
    """Which page comes next. A peer may leave pages empty, but not for ever: its list would never end nor begin.

    Args:
        url: of the peer, for errors.
        what: the pages are of.
    """

    def __init__(self, url: str, what: str) -> None:
        self._url = url
        self._what = what
        self._empty = 0
        self.token: str | None = None

    def turn(self, token: str | None, *, empty: bool) -> bool:
        """Go to the page that a page names; whether there is one.

        Args:
            empty: the page that names it has nothing.

        Raises:
            BadResponse: the peer names pages and tells nothing.
        """
        if not token:
            return False
        self._empty = self._empty + 1 if empty else 0
        if token == self.token:
            raise BadResponse(f"{self._url} names the same page of {self._what} again and again.")
        if self._empty > _EMPTY:
            raise BadResponse(f"{self._url} names page after page of {self._what}, and all are empty.")
        self.token = token
        return True
