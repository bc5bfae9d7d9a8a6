"""Sets of public keys. Source: RFC 7517 section 5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from codin.errors import TrustError
from codin.trust._keys.jose import read_object
from codin.trust._keys.keys import PublicKey, refuse_private

__all__ = ["jwks", "read_jwks"]

_MAX_KEYS = 64
_MAX_BYTES = 256 * 1024


def jwks(keys: Iterable[PublicKey]) -> dict[str, Any]:
    """The JSON Web Key Set of the keys."""
    return {"keys": [key.to_jwk() for key in keys]}


def read_jwks(document: Mapping[str, Any] | bytes) -> list[PublicKey]:
    """The keys of a set that can be used here; others are left out, as RFC 7517 wants it.

    Raises:
        TrustError: it is no key set, larger than 64 keys or 256 KiB, or it holds a private or symmetric key.
    """
    listed: Any = (_parsed(document) if isinstance(document, bytes) else document).get("keys")
    if not isinstance(listed, list):
        raise TrustError("there is no key set: it has no list of `keys`")
    keys = cast("list[Any]", listed)
    if len(keys) > _MAX_KEYS:
        raise TrustError(f"the key set has {len(keys)} keys; {_MAX_KEYS} are read")
    found: list[PublicKey] = []
    for each in keys:
        if not isinstance(each, dict):
            raise TrustError("a key of the key set is no object")
        members = cast("dict[str, Any]", each)
        refuse_private(members)
        with suppress(TrustError):
            found.append(PublicKey.from_jwk(members))
    return found


def _parsed(document: bytes) -> dict[str, Any]:
    if len(document) > _MAX_BYTES:
        raise TrustError(f"the key set is larger than {_MAX_BYTES} bytes")
    try:
        return read_object(document)
    except ValueError as error:
        raise TrustError(f"there is no key set: {error}") from None
