"""Finding a peer's card, and keeping it as HTTP allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from urllib.parse import SplitResult, urlsplit
from weakref import WeakKeyDictionary

from pydantic_core import from_json

from codin import a2a
from codin.a2a.v03 import card_of
from codin.client._http import http_error
from codin.errors import BadResponse, ConfigError, TransportError
from codin.net import Response, Transport, is_loopback
from codin.trust import Trusted, TrustPolicy

__all__ = [
    "CALL",
    "RESUME",
    "CardCache",
    "Published",
    "cards_of",
    "check_same_party",
    "resumes",
    "web_address",
]

CALL = a2a.CALL_EXTENSION
"""The extension of ours by which a call carries its limits."""

RESUME = a2a.RESUME_EXTENSION
"""The extension of ours by which a stream goes on behind the last event a reader has."""

_WELL_KNOWN = "/.well-known/agent-card.json"
_MAX_CARD = 1024 * 1024
_MAX_KEPT = 256
_PATIENCE = 60.0
_LONGEST = 3600.0
_LOOK = 5.0  # seconds that better words for an error are worth
_SHOWN = 10  # agents of a server that has several
_LONG = 300  # characters of an address that is shown
_NOT_THERE = frozenset({404, 405, 410})


@dataclass(slots=True, eq=False)
class Published:
    """A card as its address published it, and what was thought of it the last time.

    Args:
        address: where it was found.
        raw: the very bytes, which hold what a signature covers and this version does not know.
    """

    address: str
    raw: bytes
    card: a2a.AgentCard
    _verdict: tuple[object, Trusted] | None = None

    @property
    def was_verified(self) -> bool:
        """Whether the last verdict was that a key that counts has signed it."""
        return self._verdict is not None and self._verdict[1].verified

    async def trusted_by(self, policy: TrustPolicy, transport: Transport, asked: str | None = None) -> Trusted:
        """The verdict of a policy. A card is verified once, and again when what was decided about it has changed.

        Args:
            asked: the address that was given for the agent.

        Raises:
            TrustError: it is refused.
        """
        stamp = policy.stamp, asked
        if self._verdict is not None and self._verdict[0] == stamp:
            key = self._verdict[1].key
            if key is None or not key.expired:
                return self._verdict[1]
        verdict = await policy.check(self.address, self.raw, self.card, transport=transport, asked=asked)
        self._verdict = stamp, verdict
        return verdict


@dataclass(slots=True)
class _Kept:
    published: Published
    validators: dict[str, str]
    fresh_until: float


class CardCache:
    """Cards of this process: fresh ones are not asked for again, stale ones only whether they changed.

    Source: A2A 8.6; RFC 9111 sections 4.2 and 4.3.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, frozenset[tuple[str, str]]], _Kept] = OrderedDict()

    async def resolve(
        self, transport: Transport, url: str, headers: Mapping[str, str], timeout: float | None
    ) -> Published:
        """The card of the agent at `url`: below its path first, then at its origin. Spec 8.2, 14.3.

        Raises:
            BadResponse: there is no card at either place.
        """
        tried = card_addresses(url)
        for address in tried:
            published = await self._get(transport, address, headers, timeout)
            if published is not None:
                return published
        raise await _nobody(transport, url, tried, headers, timeout)

    def outdate(self, published: Published) -> None:
        """Ask for a card anew the next time, though it may still be kept."""
        for kept in self._kept.values():
            if kept.published is published:
                kept.fresh_until = float("-inf")

    async def _get(
        self, transport: Transport, address: str, headers: Mapping[str, str], timeout: float | None
    ) -> Published | None:
        # What one caller may see another may not, so the credentials are part of the key.
        key = (address, frozenset(headers.items()))
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.fresh_until:
            return kept.published
        asked = {**headers, "Accept": "application/json", "A2A-Version": "1.0", **(kept.validators if kept else {})}
        # A call may take for ever where its caller says so; a card may not.
        patience = _PATIENCE if timeout is None else min(timeout, _PATIENCE)
        response = await transport.request("GET", address, headers=asked, timeout=patience, limit=_MAX_CARD)
        if response.status == 304 and kept is not None:
            kept.fresh_until = self._clock() + (_lifetime(response.headers) or 0.0)
            return kept.published
        if response.status in _NOT_THERE:
            return None
        if response.status != 200:
            raise http_error(response, address)
        published = Published(address, response.body, _parse(response, address))
        self._keep(key, published, response.headers)
        return published

    def _keep(
        self, key: tuple[str, frozenset[tuple[str, str]]], published: Published, headers: Mapping[str, str]
    ) -> None:
        self._kept.pop(key, None)
        lifetime = _lifetime(headers)
        validators = {
            condition: headers[name]
            for name, condition in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
            if name in headers
        }
        if lifetime is None or not (lifetime or validators):
            return
        self._kept[key] = _Kept(published, validators, self._clock() + lifetime)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)


_process_cards = CardCache()
_cards_by_transport: WeakKeyDictionary[Transport, CardCache] = WeakKeyDictionary()


def cards_of(transport: Transport | None) -> CardCache:
    """The cache for a transport: one for the process, but a transport that was handed in has its own.

    It may lead somewhere else, for example to an application in memory, so the same URL is not the same agent.
    """
    if transport is None:
        return _process_cards
    return _cards_by_transport.setdefault(transport, CardCache())


def web_address(url: str) -> SplitResult:
    """The parts of an http(s) URL.

    Raises:
        ConfigError: it is something else, or carries a password.
    """
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
        raise ConfigError(
            f"{url!r} is not an http(s) URL.", hint="Write it like https://agents.example.com/translator."
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError("A URL with a user name in it is not used.", hint="Pass token=… or headers=… instead.")
    return parts


def card_addresses(url: str) -> list[str]:
    """Where the card may be."""
    parts = web_address(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    if path.endswith(".json"):
        return [f"{origin}{path}"]
    return list(dict.fromkeys([f"{origin}{path}{_WELL_KNOWN}", f"{origin}{_WELL_KNOWN}"]))


def check_same_party(asked: str, named: str) -> None:
    """Refuse to carry credentials for one host to another that a card names, or out of TLS.

    Raises:
        ConfigError: the interface is somewhere else.
    """
    ours, theirs = web_address(asked), web_address(named)
    same_host = ours.hostname == theirs.hostname or (is_loopback(ours.hostname) and is_loopback(theirs.hostname))
    if same_host and (ours.scheme, theirs.scheme) != ("https", "http"):
        return
    raise ConfigError(
        f"The card at {asked} names the interface {named}; credentials for the one are not sent to the other.",
        hint="Connect to the other address, or pass the card itself to say that it is trusted.",
    )


def resumes(card: a2a.AgentCard) -> bool:
    """Whether the peer numbers its events and honours idempotency keys."""
    return any(extension.uri == RESUME for extension in card.capabilities.extensions)


async def _nobody(
    transport: Transport, url: str, tried: Sequence[str], headers: Mapping[str, str], timeout: float | None
) -> BadResponse:
    """What to say without a card: a server of codin with several agents has none at its root, and lists them there."""
    parts = web_address(url)
    root = f"{parts.scheme}://{parts.netloc}"
    try:
        asked = {**headers, "Accept": "application/json"}
        patience = _LOOK if timeout is None else min(timeout, _LOOK)
        response = await transport.request("GET", f"{root}/", headers=asked, timeout=patience, limit=_MAX_CARD)
        cards = [str(agent["card"]) for agent in from_json(response.body)["agents"]]
    except (TransportError, ValueError, LookupError, TypeError):
        cards = []
    agents = [card.removesuffix(_WELL_KNOWN) for card in cards if card.startswith(f"{root}/") and len(card) < _LONG]
    if not agents:
        where = " or ".join(tried)
        hint = "Is the address right, and is it an A2A v1.0 agent?"
        return BadResponse(f"There is no agent card at {where}.", hint=hint)
    listed = ", ".join([*agents[:_SHOWN], *(["…"] if len(agents) > _SHOWN else [])])
    here = "" if parts.path.strip("/") == "" else f"There is no agent at {url}. "
    return BadResponse(f"{here}There are {len(agents)} agents at {root}.", hint=f"take one: {listed}")


def _parse(response: Response, address: str) -> a2a.AgentCard:
    try:
        return card_of(response.body)
    except a2a.A2AError as error:
        raise BadResponse(f"What {address} answers is no agent card of A2A: {error.message}") from error


def _lifetime(headers: Mapping[str, str]) -> float | None:
    """For how many seconds the answer is fresh; None when it may not be kept."""
    lifetime = 0.0
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-store":
            return None
        if name == "no-cache":
            return 0.0
        if name == "max-age":
            lifetime = _seconds(value.strip('"'))
    return max(0.0, min(lifetime - _seconds(headers.get("age", "")), _LONGEST))


def _seconds(value: str) -> float:
    return float(value) if value.isdecimal() and len(value) < 12 else 0.0
