"""What a registry does, without HTTP: register, hear of, look at, search, forget, and tell who watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import NamedTuple

from pydantic_core import from_json

from codin import a2a
from codin.errors import CodinError, TrustError
from codin.mesh._directory import describe, matches, words
from codin.mesh._reader import Reader
from codin.mesh.registry._admission import Admission, load_in, read_object, text_of
from codin.mesh.registry._changes import Changes
from codin.mesh.registry._meaning import Embed, Meaning
from codin.mesh.registry._problem import Problem
from codin.mesh.registry._proof import Proof
from codin.mesh.registry._protocol import Page, Query, Registration, RegistryLimits, RegistryStore, health_of
from codin.mesh.registry._wire import written
from codin.net import Response
from codin.trust import KeyRing, PublicKey, verify_card

__all__ = ["Registrar", "Wish"]

_logger = logging.getLogger("codin.mesh")
_SWEEP = 5.0
_LOOKS_AT_ONCE = 16
_LOOKS_WAITING = 1000
_NEAREST = 200  # candidates of a search by meaning, before the other conditions


class Wish(NamedTuple):
    """What somebody looks for."""

    name: str | None = None
    skill: str | None = None
    tag: str | None = None
    text: str | None = None
    near: str | None = None
    gone: bool = False
    limit: int = 20
    cursor: str | None = None


class Registrar:
    """Keeps a registry. Between `start` and `stop` it also sweeps out who is gone, and looks at cards if told so.

    Args:
        own: the operator's keys.
        probe: seconds between two looks at a card; None never looks.
        reader: how it looks; it is closed at the end.
    """

    def __init__(
        self,
        store: RegistryStore,
        limits: RegistryLimits,
        *,
        allow_unsigned: bool,
        own: KeyRing | None,
        embed: Embed | None,
        probe: float | None,
        reader: Reader,
    ) -> None:
        self.limits = limits
        self.changes = Changes()
        self._store = store
        self._admission = Admission(store, limits, allow_unsigned=allow_unsigned, own=own)
        self._meaning = None if embed is None else Meaning(embed)
        self._probe = probe
        self._reader = reader
        self._admitting = asyncio.Lock()
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the store, and begin to look after it."""
        await self._store.open()
        if self._meaning is not None:
            await self._remember(self._meaning)
        self._begin(self._repeat(self.sweep, _SWEEP))
        if self._probe is not None:
            self._begin(self._repeat(self.look, self._probe))

    async def stop(self) -> None:
        """End streams, and close the store."""
        self.changes.close()
        work = list(self._work)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self._reader.aclose()
        await self._store.close()

    async def register(self, body: bytes, owner: str, proof: Proof | None) -> tuple[Registration, bool]:
        """Take up an agent. The second value says whether it is new. Raises Problem."""
        self._admission.check_key(proof)
        async with self._admitting:  # what is checked still holds when it is written
            registration, known = await self._admission.admit(body, owner, proof)
        if self._meaning is not None:
            await self._meaning.add([(registration.key, _text(registration))])
        if known is None or (known.card, known.url) != (registration.card, registration.url):
            self._tell("joined" if known is None else "changed", registration)
            if self._probe is not None and len(self._work) < _LOOKS_WAITING:
                self._begin(self._look(registration))  # nobody else's address stands there for long
        return registration, known is None

    async def beat(self, key: str, body: bytes, owner: str, proof: Proof | None) -> Registration:
        """An agent says that it lives. Raises Problem."""
        self._admission.check_key(proof)
        known = await self._own(key, owner, proof)
        load = load_in(read_object(body)) if body else None
        now = time.time()
        await self._store.beat(key, seen=now, said=proof.said if proof else 0.0, load=load)
        heard = replace(known, seen=now, load=load)
        if health_of(known, now) != health_of(heard, now):
            self._tell("changed", heard)
        return heard

    async def drop(self, key: str, owner: str, proof: Proof | None) -> None:
        """An agent goes. Raises Problem."""
        await self._forget(await self._own(key, owner, proof))

    async def get(self, key: str) -> Registration:
        """One registration. Raises Problem."""
        registration = await self._store.get(key)
        if registration is None:
            raise _nobody()
        return registration

    async def search(self, wish: Wish) -> Page:
        """Who fits. Raises Problem, and InvalidParams for a cursor that is none."""
        alive_at = 0.0 if wish.gone else time.time()
        if wish.near is not None:
            return Page(await self._near(wish, wish.near, alive_at), None)
        wanted = words(wish.text or "")[:16]
        if wish.text and not wanted:
            return Page([], None)
        return await self._store.search(
            Query(wish.name, wish.skill, wish.tag, wanted, alive_at, wish.limit, wish.cursor)
        )

    async def _near(self, wish: Wish, text: str, alive_at: float) -> Sequence[Registration]:
        if self._meaning is None:
            raise Problem(400, "NO_MEANING", "this registry does not search by meaning", hint="search by text")
        found: list[Registration] = []
        for key in await self._meaning.near(text, _NEAREST):
            registration = await self._store.get(key)
            if registration is None or registration.until <= alive_at:
                continue
            described = describe(_card(registration), registration.url)
            if matches(described, name=wish.name, skill=wish.skill, tag=wish.tag, text=wish.text):
                found.append(registration)
            if len(found) == wish.limit:
                break
        return found

    async def sweep(self) -> None:
        """Forget who has been gone for long."""
        now = time.time()
        gone = await self._store.sweep(
            gone_before=now - self.limits.keep_gone, names_before=now - self.limits.hold_names
        )
        for registration in gone:
            self._left(registration)

    async def look(self) -> None:
        """Read every card where it is said to be, and note how long that takes."""
        after: str | None = None
        while True:
            page = await self._store.search(Query(alive_at=time.time(), limit=100, after=after))
            await asyncio.gather(*(self._look(registration) for registration in page.found))
            after = page.next
            if after is None:
                return

    async def _look(self, registration: Registration) -> None:
        async with self._looks:
            begun = time.monotonic()
            try:
                answer = await self._reader.get(registration.url, limit=self.limits.max_body)
                latency = time.monotonic() - begun
                failed = not _is_card_of(registration, answer)
            except CodinError as error:
                _logger.info("the card of %s cannot be read: %s", registration.name, error.message)
                latency, failed = None, True
        await self._store.look(registration.key, latency=None if failed else latency, failed=failed)
        if failed != registration.failed:
            self._tell("changed", replace(registration, latency=latency, failed=failed))

    async def _own(self, key: str, owner: str, proof: Proof | None) -> Registration:
        """A registration of whoever asks. What is another's is answered as what is not there."""
        registration = await self._store.get(key)
        if registration is None:
            raise _nobody()
        if registration.kid is None:
            if registration.owner != owner:
                raise _nobody()
        elif proof is None or proof.key.kid != registration.kid:
            raise _nobody()
        elif proof.said <= registration.said:
            raise Problem(409, "REPEATED", "this request was heard before, or a later one was")
        return registration

    async def _forget(self, registration: Registration) -> None:
        await self._store.drop(registration.key)
        self._left(registration)

    def _left(self, registration: Registration) -> None:
        if self._meaning is not None:
            self._meaning.drop(registration.key)
        self._tell("left", registration)

    def _tell(self, event: str, registration: Registration) -> None:
        self.changes.add(event, written(registration, time.time()))

    async def _remember(self, meaning: Meaning) -> None:
        after: str | None = None
        while True:
            page = await self._store.search(Query(limit=100, after=after))
            if page.found:
                await meaning.add([(each.key, _text(each)) for each in page.found])
            after = page.next
            if after is None:
                return

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            try:
                await work()
            except CodinError as error:
                _logger.warning("the registry goes on: %s", error)
            await asyncio.sleep(pause)


def _is_card_of(registration: Registration, answer: Response) -> bool:
    """Whether what is there is by whoever registered it; of an unsigned agent nobody can tell."""
    if answer.status != 200:
        return False
    if not registration.verified or registration.jwk is None:
        return True
    try:
        verify_card(answer.body, [PublicKey.from_jwk(from_json(registration.jwk))])
    except TrustError:
        return False
    return True


def _card(registration: Registration) -> a2a.AgentCard:
    return a2a.AgentCard.from_json(registration.card)


def _text(registration: Registration) -> str:
    card = _card(registration)
    return f"{card.name}\n{text_of(card)}"


def _nobody() -> Problem:
    return Problem(404, "NOT_FOUND", "there is no such registration", hint="register again")
