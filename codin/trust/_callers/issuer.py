"""The keys of an OpenID Connect issuer, found by its discovery, kept within bounds.

Source: OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from codin.errors import BadResponse, ConfigError, TransportError
from codin.net import Transport, is_loopback, open_transport
from codin.trust._keys.jose import read_object

if TYPE_CHECKING:
    from jwt import PyJWK

__all__ = ["Issuer", "check_secure"]

_logger = logging.getLogger("codin.trust")

_MAX_BODY = 256 * 1024
_MAX_KEYS = 64
_PATIENCE = 10.0  # seconds for a request
_AFTER_FAILURE = 5.0  # seconds until the issuer is asked again
_STALE = 24 * 3600.0  # seconds for which old keys do while the issuer cannot be reached


class Issuer:
    """Where tokens come from.

    Args:
        url: of the issuer, exactly as it stands in its tokens.
        transport: how it is reached; None opens one for each of the rare requests.
        max_age: seconds after which the keys are asked for again.
        pause: seconds between two requests at least, however many tokens name a key that nobody knows.
    """

    def __init__(self, url: str, transport: Transport | None, max_age: float, pause: float) -> None:
        check_secure(url, "issuer")
        self.url = url
        self.discovery = f"{url.rstrip('/')}/.well-known/openid-configuration"
        self._transport = transport
        self._max_age = max_age
        self._pause = pause
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched = float("-inf")
        self._not_before = float("-inf")
        self._asking = asyncio.Lock()

    async def key(self, kid: str | None) -> PyJWK | None:
        """The key that a token names; of a token that names none, the only one there is.

        Raises:
            TransportError: there are no keys, and the issuer does not tell any.
        """
        if self._lacks(kid):
            async with self._asking:
                if self._lacks(kid):
                    await self._refresh()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _lacks(self, kid: str | None) -> bool:
        now = monotonic()
        known = kid in self._keys or (kid is None and len(self._keys) == 1)
        return (not known or now - self._fetched > self._max_age) and (now >= self._not_before or not self._keys)

    async def _refresh(self) -> None:
        now = monotonic()
        if now < self._not_before:
            raise TransportError(f"the issuer {self.url} could not be asked for its keys a moment ago")
        self._not_before = now + min(self._pause, _AFTER_FAILURE)
        try:
            self._keys = await self._fetch()
        except TransportError as error:
            if not self._keys or now - self._fetched > _STALE:
                self._keys = {}
                raise
            _logger.warning("the keys of %s are not renewed: %s", self.url, error)
            return
        self._fetched = now
        self._not_before = now + self._pause

    async def _fetch(self) -> dict[str | None, PyJWK]:
        transport = self._transport or open_transport()
        try:
            found = await self._get(transport, self.discovery)
            if found.get("issuer") != self.url:
                raise BadResponse(f"{self.discovery} speaks for another issuer than {self.url}")
            place = found.get("jwks_uri")
            if not isinstance(place, str):
                raise BadResponse(f"{self.discovery} names no jwks_uri")
            try:
                check_secure(place, "jwks_uri")
            except ConfigError as error:
                raise BadResponse(error.message) from None
            return _read_keys(await self._get(transport, place), place)
        finally:
            if transport is not self._transport:
                await transport.aclose()

    async def _get(self, transport: Transport, url: str) -> dict[str, Any]:
        answer = await transport.request(
            "GET", url, headers={"Accept": "application/json"}, timeout=_PATIENCE, limit=_MAX_BODY
        )
        if answer.status != 200:
            raise BadResponse(f"{url} answered HTTP {answer.status}")
        try:
            return read_object(answer.body)
        except ValueError as error:
            raise BadResponse(f"{url} did not answer in JSON: {error}") from None


def check_secure(url: str, what: str) -> None:
    """Whether a URL is https, or on this machine.

    Raises:
        ConfigError: it is neither.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    else:
        if host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
            return
    raise ConfigError(f"the {what} {url!r} is no https URL", hint="plain http is for this machine only")


def _read_keys(found: Mapping[str, Any], place: str) -> dict[str | None, PyJWK]:
    """The keys for signatures. Symmetric ones are not taken, whoever publishes them."""
    from jwt import PyJWK, PyJWTError

    listed: Any = found.get("keys")
    if not isinstance(listed, list) or len(cast("list[Any]", listed)) > _MAX_KEYS:
        raise BadResponse(f"{place} has no list of at most {_MAX_KEYS} keys")
    keys: dict[str | None, PyJWK] = {}
    for each in cast("list[Any]", listed):
        if not isinstance(each, dict):
            continue
        jwk = cast("dict[str, Any]", each)
        if jwk.get("kty") == "oct" or jwk.get("use", "sig") != "sig":
            continue
        try:
            keys[jwk.get("kid")] = PyJWK(jwk)
        except (PyJWTError, ValueError, TypeError):
            continue  # of a kind that nobody here can use
    return keys
