"""What an agent signs beside a push notification: a short-lived JWT for one receiver and one body.

Source: A2A v1.0.1 section 13.2; RFC 7515, 7519.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from functools import lru_cache
from hmac import compare_digest
from os import urandom
from time import time
from typing import Any, NoReturn

from pydantic_core import to_json

from codin.errors import TokenRefused
from codin.trust._calls.limits import identity_of
from codin.trust._calls.token import LEEWAY, key_finder
from codin.trust._cards.signatures import Keys
from codin.trust._keys.jose import from_base64url, read_object, to_base64url
from codin.trust._keys.keys import SigningKey

__all__ = ["NOTIFICATION_HEADER", "sign_notification", "verify_notification"]

NOTIFICATION_HEADER = "Codin-Notification"
"""The request header of a push notification with the JWT that its agent has signed."""

_TYPE = "codin-notification+jwt"
_TTL = 60
_LONGEST = 8 * 1024


def sign_notification(key: SigningKey, agent: str, audience: str, *, task_id: str, number: int, body: bytes) -> str:
    """The JWT for one delivery.

    Args:
        agent: the id of the agent whose task it is.
        audience: the URL that it is posted to.
        number: of the event in its task.
    """
    now = int(time())
    claims: dict[str, Any] = {
        "iss": identity_of(agent, key.kid),
        "aud": audience,
        "iat": now,
        "exp": now + _TTL,
        "jti": to_base64url(urandom(16)),
        "task": task_id,
        "number": number,
        "digest": _digest(body),
    }
    signed = f"{_head(key.algorithm, key.kid)}.{to_base64url(to_json(claims))}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def verify_notification(token: str, keys: Keys, audience: Container[str], body: bytes) -> dict[str, Any]:
    """The claims of a JWT that fits the body it came with. Whether it was used before is not looked at.

    Args:
        keys: of the agents that may notify.
        audience: the URLs of the receiver.

    Raises:
        TokenRefused: it does not prove anything, and why. The message quotes nothing of it.
    """
    signed, _, signature = token.rpartition(".")
    head, _, payload = signed.partition(".")
    try:
        if len(token) > _LONGEST:
            raise ValueError("too long")
        header, claims = read_object(from_base64url(head)), read_object(from_base64url(payload))
        proof = from_base64url(signature)
    except ValueError:
        _refuse("it is no JWT")
    kid = header.get("kid")
    if header.get("typ") != _TYPE or "crit" in header or not isinstance(kid, str):
        _refuse("it is no JWT for a notification")
    key = key_finder(keys)(kid)
    if key is None or key.expired:
        _refuse("its key is not known here, or not any more")
    if not key.allows(header.get("alg")) or not key.verify(proof, signed.encode()):
        _refuse("its signature is wrong")
    _check(claims, kid, audience, time())
    if not compare_digest(str(claims.get("digest")).encode(), _digest(body).encode()):
        _refuse("the body is not the one that was signed")
    return claims


def _check(claims: dict[str, Any], kid: str, audience: Container[str], now: float) -> None:
    issued, expires, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
    if type(issued) is not int or type(expires) is not int or expires - issued > _TTL:
        _refuse(f"it does not say from when to when, within {_TTL} s, it is good")
    if expires <= now - LEEWAY or issued > now + LEEWAY:
        _refuse("its time is over, or has not come; look at the clocks of both machines")
    said = claims.get("aud")
    if not isinstance(said, str) or said not in audience:
        _refuse("it is for another receiver")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer.rpartition("@")[2] != kid:
        _refuse("it does not name the agent that signed it")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 128:
        _refuse("it has no `jti`")
    if not isinstance(claims.get("task"), str) or type(claims.get("number")) is not int:
        _refuse("it does not say what it is about")


@lru_cache(maxsize=64)
def _head(algorithm: str, kid: str) -> str:
    return to_base64url(to_json({"alg": algorithm, "kid": kid, "typ": _TYPE}))


def _digest(body: bytes) -> str:
    return to_base64url(hashlib.sha256(body).digest())


def _refuse(why: str) -> NoReturn:
    raise TokenRefused(f"the notification is refused: {why}")
