"""Words that the errors of every transport share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from codin.errors import TransportError

__all__ = ["cause", "lost", "masked", "names_secret", "shown", "within"]

_SECRET = re.compile(r"auth|cookie|key|secret|token|pass|credential", re.IGNORECASE)
_SHORTEST = 4  # of what is hidden in a text: shorter ones are in every word
_LARGE = 4 * 1024 * 1024  # bytes of a request that a peer may well refuse


def cause(error: BaseException | None) -> str:
    """Why a connection was lost; many errors of the network say nothing themselves."""
    return str(error or "") or "the peer hung up"


def lost(url: str, error: BaseException | None, size: int) -> TransportError:
    """The connection was lost after a request of `size` bytes had begun."""
    hint = f"the request has {size} bytes; a peer that takes less may hang up without a word" if size > _LARGE else None
    return TransportError(f"The connection to {shown(url)} was lost: {cause(error)}", hint=hint)


def shown(url: str) -> str:
    """A URL as errors tell it: without credentials, and without its query, which may hold one."""
    place, query, _ = url.partition("?")
    scheme, slashes, rest = place.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}{'?…' if query else ''}"


def names_secret(name: str) -> bool:
    """Whether a header or a variable holds a credential, by its name."""
    return _SECRET.search(name) is not None


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without secrets that were sent, also as a URL has them, and without the word before them: `Bearer …`."""
    forms = {form for secret in secrets for form in (secret, secret.rpartition(" ")[2], quote(secret, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            text = text.replace(form, "***")
    return text


def within(timeout: float | None) -> str:
    """A time as a person would give it: what was left of 60 seconds when the request went out is 60."""
    if timeout is None:
        return "in time"
    return f"within {timeout:.0f} s" if timeout >= 10 else f"within {timeout:.2g} s"
