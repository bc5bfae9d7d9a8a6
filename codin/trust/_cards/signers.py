"""Who a card says has signed it. A claim, until `verify_card` has looked."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from codin import a2a
from codin.trust._keys.jose import from_base64url, read_object

__all__ = ["Signer", "base_of", "origin_of", "signers_of"]

_WELL_KNOWN = "/.well-known/agent-card.json"
_MOST = 16


class Signer(NamedTuple):
    """A signature's own words about its key: the name, and where the key is said to be published."""

    kid: str
    jku: str | None


def signers_of(card: a2a.AgentCard) -> list[Signer]:
    """The signers that the signatures of a card name, each once; a signature that names none is left out."""
    found: dict[Signer, None] = {}
    for signature in card.signatures[:_MOST]:
        try:
            header = read_object(from_base64url(signature.protected))
        except ValueError:
            continue
        kid, jku = header.get("kid"), header.get("jku")
        if isinstance(kid, str) and kid:
            found[Signer(kid, jku if isinstance(jku, str) else None)] = None
    return list(found)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, one way to write each. RFC 6454."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" if parts.port in (None, usual) else f"{parts.scheme}://{host}:{parts.port}"


def base_of(url: str) -> str:
    """The address of an agent, however it is given: with a slash behind it, or as the place of its card."""
    path = urlsplit(url).path.removesuffix(_WELL_KNOWN).rstrip("/")
    return f"{origin_of(url)}{path}"
