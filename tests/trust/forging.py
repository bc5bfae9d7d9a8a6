"""Tokens put together by hand, as no library would make them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["claims_of", "decoded", "encoded", "hmac_signed", "with_claims", "written"]


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    return json.loads(decoded(token.split(".")[1]))


def written(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token; a member that is None is left out."""
    kept = ({name: value for name, value in members.items() if value is not None} for members in (header, claims))
    signed = ".".join(encoded(json.dumps(members).encode()) for members in kept)
    return f"{signed}.{encoded(sign(signed.encode()))}"


def with_claims(token: str, **claims: Any) -> str:
    """A token with other claims under the same signature."""
    head, _, signature = token.split(".")
    return f"{head}.{encoded(json.dumps({**claims_of(token), **claims}).encode())}.{signature}"


def hmac_signed(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """Key confusion: what everybody may know, as the secret of an HMAC."""
    return written({**header, "alg": "HS256"}, claims, lambda data: hmac.digest(secret, data, hashlib.sha256))
