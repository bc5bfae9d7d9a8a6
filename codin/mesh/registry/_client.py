"""The client of a registry: a directory, and the way into it."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote, urlencode, urlsplit

import anyio
from pydantic_core import from_json, to_json

from codin import a2a
from codin.errors import AddressRefused, BadResponse, CardNotTrusted, ConfigError, TransportError
from codin.mesh._cards import select
from codin.mesh._directory import Found, matches
from codin.mesh.registry._known import Known
from codin.mesh.registry._proof import PROOF_HEADER, prove
from codin.mesh.registry._wire import found_in, mapping
from codin.net import AddressGuard, Response, Transport, open_transport
from codin.trust import SigningKey

__all__ = ["Receipt", "Registry", "Seen"]

_logger = logging.getLogger("codin.mesh")
_MAX_ANSWER = 32 * 1024 * 1024
_MAX_EVENT = 512 * 1024
_MAX_QUESTIONS = 256
_MAX_PAGES = 100
_SILENCE = 60.0  # seconds; a registry breaks its own every quarter of that
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Receipt(NamedTuple):
    """What a registry answers to an agent that registers: the name of the registration, and for how long it counts."""

    key: str
    ttl: float
    verified: bool


class Seen(NamedTuple):
    """A change in a registry. `event` is joined, changed, left, or reset: then something was missed, so ask anew."""

    id: str
    event: str
    agent: Found | None


class Registry:
    """A registry at a URL.

        async with Registry("http://127.0.0.1:7000") as registry:
            translators = await registry.find(skill="translate")

    What it said is kept: the same question is not asked again for a moment, and while nobody answers, what is known
    counts. A registry is not believed: an entry that its agent did not sign so, or that leads elsewhere, is left out.

    Args:
        token: a bearer token.
        headers: on every request.
        transport: what `codin.connect` takes; one that is handed in stays open.
        timeout: seconds for a question.
        fresh: seconds for which an answer counts.
        stale_for: seconds for which what was said counts while nobody answers.
        cache: a file that keeps it over a restart.

    Raises:
        ConfigError: it is no http(s) URL.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Transport | str | None = None,
        timeout: float = 10.0,
        fresh: float = 5.0,
        stale_for: float = 86400.0,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")) or urlsplit(url).hostname is None:
            raise ConfigError(f"{url!r} is no http(s) URL", hint="a registry is at one, such as http://127.0.0.1:7000")
        self.url: str = url.rstrip("/")
        self._headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        self._transport = transport
        self._opened: Transport | None = None
        self._timeout = timeout
        self._fresh = fresh
        self._guard = AddressGuard(named_by=self.url)
        self._known = Known(self.url, Path(cache) if cache is not None else None, stale_for)
        self._answers: OrderedDict[tuple[str, int], tuple[float, Sequence[Found]]] = OrderedDict()
        self._pause = 0.0
        self._ask_again = 0.0

    @classmethod
    def of_environment(cls, transport: Transport | str | None = None, *, url: str | None = None) -> Self | None:
        """The registry that `CODIN_REGISTRY` names, with the token in `CODIN_REGISTRY_TOKEN`; None when none is named.

        Args:
            url: of the registry, if it was named already; the token is of it, then.

        Raises:
            ConfigError: what was named is no http(s) URL.
        """
        url = url or os.environ.get("CODIN_REGISTRY")
        return cls(url, token=os.environ.get("CODIN_REGISTRY_TOKEN"), transport=transport) if url else None

    # -- finding -------------------------------------------------------------------------------------------------------

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
        near: str | None = None,
    ) -> Sequence[Found]:
        """The agents that fit, as `Directory.find` says.

        Args:
            near: what it shall mean, for a registry that was given an embedding.

        Raises:
            BadResponse: the registry refuses, or answers what no registry does.
            TransportError: nobody answers, and nothing was ever known.
        """
        given = {"name": name, "skill": skill, "tag": tag, "text": text, "near": near}
        question = urlencode({label: value for label, value in given.items() if value is not None})
        kept = self._answers.get((question, limit))
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        try:
            said = await self._ask(question, limit)
        except _DownError as down:
            known = self._known.all()
            if not known:
                raise down.error from None
            return select(known, name=name, skill=skill, tag=tag, text=text or near, limit=limit)
        # The order is the registry's; that each fits is checked, where that can be told.
        found = [each for each in said if matches(each, name=name, skill=skill, tag=tag, text=None)]
        answer = sorted(found, key=lambda each: each.rank)[:limit]
        self._answers[question, limit] = time.monotonic() + self._fresh, answer
        if len(self._answers) > _MAX_QUESTIONS:
            self._answers.popitem(last=False)
        return answer

    async def _ask(self, question: str, limit: int) -> list[Found]:
        """What the registry says, page after page."""
        if time.monotonic() < self._ask_again:
            raise _DownError(TransportError(f"The registry at {self.url} did not answer a moment ago."))
        found: list[Found] = []
        cursor: object = None
        for _ in range(_MAX_PAGES):
            page = {"limit": str(limit - len(found)), **({"cursor": cursor} if cursor else {})}
            document = await self._page(f"{question}&{urlencode(page)}".lstrip("&"))
            entries = _list(document.get("agents"))[:limit]
            found += [each for entry in entries if (each := self._take(entry)) is not None]
            cursor = document.get("next")
            if not isinstance(cursor, str) or not entries or len(found) >= limit:
                await anyio.to_thread.run_sync(self._known.write)
                return found
        raise BadResponse(f"The registry at {self.url} answers pages without end.")

    async def _page(self, question: str) -> Mapping[str, Any]:
        try:
            response = await self._request("GET", "/v1/agents", question=question)
            refused = 400 <= response.status < 500
            document = mapping(None) if refused else self._document(response)
        except TransportError as error:
            self._down(error)
            raise _DownError(error) from None
        self._pause = 0.0
        return self._document(response) if refused else document

    def _down(self, error: Exception) -> None:
        if not self._pause:
            _logger.warning("the registry at %s does not answer, what it said before counts: %s", self.url, error)
        self._pause = min(max(_FIRST_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._ask_again = time.monotonic() + self._pause

    def _take(self, entry: Mapping[str, Any]) -> Found | None:
        """What can be believed of an entry."""
        try:
            found = found_in(entry)
            self._guard.check_written(found.url)
        except (CardNotTrusted, AddressRefused) as error:
            _logger.warning("the registry at %s said something that is left out: %s", self.url, error)
            return None
        self._known.add(str(entry.get("key")), entry)
        return found

    # -- watching ------------------------------------------------------------------------------------------------------

    async def watch(self, after: str | None = None) -> AsyncGenerator[Seen]:
        """What changes from now on, until the connection ends. The first event is a reset.

        Args:
            after: the id of the last change that was seen.

        Raises:
            TransportError: the connection is lost, or the registry does not let us.
        """
        headers = {**self._headers, "Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        decoder = a2a.SSEDecoder(_MAX_EVENT)
        opening = self._open().stream("GET", f"{self.url}/v1/watch", headers=headers, timeout=_SILENCE)
        async with opening as response:
            if response.status != 200:
                self._document(Response(response.status, response.headers, await response.read(_MAX_EVENT)))
            async for chunk in response.chunks:
                for event in decoder.feed(chunk):
                    seen = self._seen(event)
                    if seen is not None:
                        yield seen

    def _seen(self, event: a2a.SSEEvent) -> Seen | None:
        self._answers.clear()  # whatever was said a moment ago may be over
        if event.event == "reset":
            return Seen(event.id or "", "reset", None)
        try:
            entry = mapping(from_json(event.data))
        except ValueError:
            return None
        found = self._take(entry)
        if event.event == "left":
            self._known.drop(str(entry.get("key")))
        return None if found is None else Seen(event.id or "", event.event, found)

    # -- being in it ---------------------------------------------------------------------------------------------------

    async def register(
        self,
        card: bytes | a2a.AgentCard,
        url: str,
        *,
        key: SigningKey | None = None,
        ttl: float | None = None,
        load: float | None = None,
    ) -> Receipt:
        """Register an agent, or renew what is registered.

        Args:
            card: as it is published at `url`, signed by the key.
            key: that signs the request; without one the registry has to allow it.
            ttl: seconds within which it will be heard of.
            load: 0 is idle, 1 as much as it can do.

        Raises:
            BadResponse: the registry refuses.
            TransportError: nobody answers.
        """
        document = card.to_dict() if isinstance(card, a2a.AgentCard) else from_json(card)
        body = to_json({"card": document, "url": url, "ttl": ttl, "load": load})
        return self._receipt(await self._request("POST", "/v1/agents", body, key))

    async def heartbeat(self, key_of: str, *, key: SigningKey | None = None, load: float | None = None) -> Receipt:
        """Say that an agent lives. Raises as `register`; a refusal may mean that it has to register again.

        Args:
            key_of: the registration: `Receipt.key`.
        """
        return self._receipt(
            await self._request("POST", f"/v1/agents/{quote(key_of, safe='')}/heartbeat", to_json({"load": load}), key)
        )

    async def deregister(self, key_of: str, *, key: SigningKey | None = None) -> None:
        """Take an agent out. Raises as `register`."""
        response = await self._request("DELETE", f"/v1/agents/{quote(key_of, safe='')}", b"", key)
        if response.status != 204:
            self._document(response)

    def _receipt(self, response: Response) -> Receipt:
        match self._document(response):
            case {"key": str(key), "ttl": int() | float() as ttl, "verified": bool(verified)}:
                return Receipt(key, float(ttl), verified)
            case _:
                raise BadResponse(f"What {self.url} answers is not what a registry does.")

    # -- the wire ------------------------------------------------------------------------------------------------------

    async def _request(
        self, method: str, path: str, body: bytes = b"", key: SigningKey | None = None, question: str = ""
    ) -> Response:
        headers = {**self._headers, "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers[PROOF_HEADER] = prove(key, method, f"{self.url}{path}", body)
        asked = f"{self.url}{path}?{question}" if question else f"{self.url}{path}"
        return await self._open().request(
            method, asked, headers=headers, content=body, timeout=self._timeout, limit=_MAX_ANSWER
        )

    def _document(self, response: Response) -> Mapping[str, Any]:
        """The object that was answered. Raises BadResponse for a refusal, in the registry's words."""
        try:
            document = mapping(from_json(response.body))
        except ValueError:
            document = mapping(None)
        if response.status in (200, 201) and document:
            return document
        error = mapping(document.get("error"))
        words, hint = error.get("message"), error.get("hint")
        raise BadResponse(
            f"The registry at {self.url} answers {response.status}: {str(words or 'no word of why')[:500]}",
            hint=str(hint)[:500] if hint else None,
        )

    def _open(self) -> Transport:
        if self._transport is not None and not isinstance(self._transport, str):
            return self._transport
        if self._opened is None:
            self._opened = open_transport(self._transport)
        return self._opened

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _DownError(Exception):
    def __init__(self, error: TransportError) -> None:
        super().__init__(str(error))
        self.error = error


def _list(value: object) -> list[Mapping[str, Any]]:
    return [mapping(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
