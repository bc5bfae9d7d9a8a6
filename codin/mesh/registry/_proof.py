"""A request to a registry, signed by the agent's own key: a token for one method, one address and one body.

The form is that of RFC 9449 (DPoP): the public key travels in the header of the token, so the registry need not know
it; what the registry remembers is which key a name belongs to.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from time import time
from typing import Any, Final, NamedTuple, cast

from codin.errors import TokenRefused, TrustError
from codin.trust import PublicKey, SigningKey

__all__ = ["PROOF_HEADER", "Proof", "prove", "read_proof"]

PROOF_HEADER: Final = "Codin-Proof"
_TYPE: Final = "codin-registration+jwt"
_SKEW: Final = 60.0  # seconds that two clocks may differ, and that a request may take
_MAX_TOKEN: Final = 8192


class Proof(NamedTuple):
    """A request that is signed. `said` is when; a registry takes nothing from before what it has heard already."""

    key: PublicKey
    said: float


def prove(key: SigningKey, method: str, url: str, body: bytes = b"", *, now: float | None = None) -> str:
    """Sign a request.

    Args:
        url: of the request, without a query.
    """
    header = {"alg": key.algorithm, "typ": _TYPE, "jwk": key.public.to_jwk()}
    claims = {"htm": method, "htu": url, "iat": time() if now is None else now, "body": _digest(body)}
    signed = f"{_written(header)}.{_written(claims)}"
    return f"{signed}.{_text(key.sign(signed.encode()))}"


def read_proof(token: str, method: str, url: str, body: bytes = b"", *, now: float | None = None) -> Proof:
    """Whoever signed this request.

    Raises:
        TokenRefused: it is not signed by the key in it, or is for another request, or of another time.
    """
    now = time() if now is None else now
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError("it is too long")
        protected, payload, signature = token.split(".")
        header, claims = _read(protected), _read(payload)
        key = _key_of(header)
        if not key.verify(_bytes(signature), f"{protected}.{payload}".encode()):
            raise ValueError("the signature does not fit")
    except (ValueError, RecursionError, TrustError) as error:
        raise TokenRefused(f"the proof is refused: {error}") from None
    said = claims.get("iat")
    if (claims.get("htm"), claims.get("htu"), claims.get("body")) != (method, url, _digest(body)):
        raise TokenRefused(
            "the proof is for another request",
            hint=f"it says {claims.get('htm')!r} {str(claims.get('htu'))[:200]!r}; this registry is at {url!r}",
        )
    if isinstance(said, bool) or not isinstance(said, (int, float)) or abs(now - said) > _SKEW:
        raise TokenRefused("the proof is from another time", hint="set the clocks of both machines")
    return Proof(key, float(said))


def _key_of(header: dict[str, Any]) -> PublicKey:
    match header:
        case {"crit": _}:
            raise ValueError("it wants something to be understood that is not known here")
        case {"typ": "codin-registration+jwt", "alg": str(algorithm), "jwk": members} if isinstance(members, dict):
            key = PublicKey.from_jwk(cast("dict[str, Any]", members))
        case _:
            raise ValueError("its header is not that of a proof")
    if not key.allows(algorithm) or key.expired:
        raise ValueError("its algorithm is not that of its key, or the key has expired")
    return key


def _digest(body: bytes) -> str:
    return _text(hashlib.sha256(body).digest())


def _written(value: object) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _read(part: str) -> dict[str, Any]:
    value: object = json.loads(_bytes(part))
    if not isinstance(value, dict):
        raise ValueError("a part of it is no object")
    return cast("dict[str, Any]", value)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
