"""Asking an authorization server for tokens, and keeping them while they are good. Source: RFC 6749, RFC 8693."""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import anyio

from codin.errors import BadResponse, TokenRefused
from codin.net import Response, Transport, open_transport
from codin.trust._callers.issuer import check_secure
from codin.trust._keys.jose import read_object

__all__ = ["TokenEndpoint"]

_MAX_BODY = 64 * 1024
_PATIENCE = 30.0
_EARLY = 30.0  # seconds before its end in which a token is not used any more, but at most a tenth of its life
_ASSUMED = 300.0  # seconds, where the server says nothing
_MAX_KEPT = 1000
_CODE = re.compile(r"[A-Za-z_]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")


class TokenEndpoint:
    """The token endpoint, as one client uses it. Its representation shows no secret, and neither does any error.

    Args:
        url: https, or on this machine.
        client_id: the client.
        client_secret: sent by HTTP Basic, as every server has to take it.
        transport: None opens one for each of the rare requests.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, transport: Transport | None) -> None:
        check_secure(url, "token URL")
        self._url = url
        basic = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"  # RFC 6749 2.3.1
        self._basic = "Basic " + base64.b64encode(basic.encode()).decode()
        self._transport = transport
        self._kept: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()
        self._asking: dict[Hashable, anyio.Lock] = {}

    async def token(self, form: Mapping[str, str], kept_as: Hashable) -> str:
        """A token that is still good for a while.

        Args:
            form: of the request, without what is empty.
            kept_as: what makes two requests the same.

        Raises:
            TokenRefused: the server gives none, and its word for why.
            TransportError: it does not answer properly.
        """
        if (kept := self._good(kept_as)) is not None:
            return kept
        lock = self._asking.setdefault(kept_as, anyio.Lock())  # one request for all who wait for the same
        try:
            async with lock:
                return self._good(kept_as) or await self._ask(form, kept_as)
        finally:
            if not lock.statistics().tasks_waiting:
                self._asking.pop(kept_as, None)

    def _good(self, kept_as: Hashable) -> str | None:
        token, until = self._kept.get(kept_as, ("", 0.0))
        return token if monotonic() < until else None

    async def _ask(self, form: Mapping[str, str], kept_as: Hashable) -> str:
        asked = monotonic()
        answer = await self._post(urlencode({name: value for name, value in form.items() if value}).encode())
        try:
            said = read_object(answer.body)
        except ValueError:
            raise BadResponse(f"{self._url} answered HTTP {answer.status}, and not in JSON") from None
        if answer.status != 200:
            code = said.get("error")
            why = code if isinstance(code, str) and _CODE.fullmatch(code) else f"HTTP {answer.status}"
            raise TokenRefused(f"{self._url} gives no token: {why}")
        token, life = _read(said, self._url)
        self._kept.pop(kept_as, None)
        self._kept[kept_as] = token, asked + life - min(_EARLY, life / 10)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return token

    async def _post(self, content: bytes) -> Response:
        headers = {
            "Authorization": self._basic,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        transport = self._transport or open_transport()
        try:
            return await transport.request(
                "POST", self._url, headers=headers, content=content, timeout=_PATIENCE, limit=_MAX_BODY
            )
        finally:
            if transport is not self._transport:
                await transport.aclose()


def _read(said: Mapping[str, Any], url: str) -> tuple[str, float]:
    token, kind, life = said.get("access_token"), said.get("token_type"), said.get("expires_in", _ASSUMED)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise BadResponse(f"{url} answered without a usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise BadResponse(f"{url} gives tokens of another kind than Bearer")
    if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
        life = _ASSUMED
    return token, float(life)
