"""Who may register what. Everything that is said here is said by a stranger."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic_core import from_json, to_json

from codin import a2a
from codin.errors import CardNotTrusted, CodinError, TrustError
from codin.mesh._directory import describe, is_served_from
from codin.mesh.registry._problem import Problem
from codin.mesh.registry._proof import Proof
from codin.mesh.registry._protocol import Holder, Labels, Registration, RegistryLimits, RegistryStore
from codin.mesh.registry._wire import mapping
from codin.trust import KeyRing, PublicKey, identity_in, kid_of, verify_card

__all__ = ["Admission", "load_in", "read_object", "text_of"]

_LONGEST_URL = 2048
_LONGEST_NAME = 256


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a request. Raises Problem."""
    try:
        value: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, "NOT_JSON", f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(400, "NOT_JSON", "the body is no JSON object")
    return cast("dict[str, Any]", value)


class Admission:
    """Makes a registration of a request, or refuses it.

    Args:
        allow_unsigned: the operator takes agents without a key, too.
        own: the operator's keys.
    """

    def __init__(
        self, store: RegistryStore, limits: RegistryLimits, *, allow_unsigned: bool, own: KeyRing | None
    ) -> None:
        self._store = store
        self._limits = limits
        self._allow_unsigned = allow_unsigned
        self._own = own

    async def admit(self, body: bytes, owner: str, proof: Proof | None) -> tuple[Registration, Registration | None]:
        """Register an agent.

        Returns:
            The registration, and the one that it replaces.

        Raises:
            Problem: it is refused.
        """
        if proof is None and not self._allow_unsigned:
            raise Problem(
                403, "UNSIGNED", "an unsigned registration is not taken here", hint="codin keys new makes a key"
            )
        request = read_object(body)
        fields, card, url = self._card_in(request)
        verified = self._verify(fields, card, proof)
        registration = self._registration(request, card, fields, url, owner, proof, verified)
        names = {registration.agent.casefold(), card.name.casefold()}
        known = await self._store.get(registration.key)
        await self._check_names(names, registration, card, fields)
        await self._check_room(owner, known)
        if known is not None:
            if proof is not None and proof.said <= known.said:
                raise Problem(409, "REPEATED", "this request was heard before, or a later one was")
            registration = _renewed(registration, known)
        await self._store.put(registration, names=names, labels=_labels(card))
        return registration, known

    def check_key(self, proof: Proof | None) -> None:
        """See whether the operator has revoked the key that signed a request. Raises Problem."""
        if self._own is None or proof is None:
            return
        if any(record.kid == proof.key.kid and record.revoked is not None for record in self._own.records):
            raise Problem(403, "KEY_REVOKED", "the key that signed this was revoked by its owner")

    def _is_own(self, kid: str | None) -> bool:
        key = self._own.public.get(kid) if self._own is not None and kid is not None else None
        return key is not None and not key.expired

    def _card_in(self, request: Mapping[str, Any]) -> tuple[Mapping[str, Any], a2a.AgentCard, str]:
        url, fields = request.get("url"), mapping(request.get("card"))
        if not fields or not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise Problem(400, "NOT_COMPLETE", "a registration has a `card` and the http(s) `url` where it is")
        if _deeper_than(fields, self._limits.max_depth):
            raise Problem(400, "CARD_TOO_DEEP", f"the card nests deeper than {self._limits.max_depth}")
        try:
            card = a2a.AgentCard.from_dict(fields)
        except CodinError as error:
            raise Problem(400, "NO_CARD", f"the card cannot be read: {error.message}") from None
        if len(card.skills) > self._limits.max_skills or len(url) > _LONGEST_URL or len(card.name) > _LONGEST_NAME:
            raise Problem(400, "CARD_TOO_LARGE", f"at most {self._limits.max_skills} skills, and names of usual length")
        if not url.endswith(".json") or not is_served_from(card, url):
            raise Problem(
                400,
                "ADDRESS_ELSEWHERE",
                f"{url!r} is no place for this card",
                hint="a card is a .json document of the host and port where one of its interfaces is",
            )
        return fields, card, url

    def _verify(self, fields: Mapping[str, Any], card: a2a.AgentCard, proof: Proof | None) -> bool:
        """Whether the card is signed by the key that signed the request."""
        if proof is None or (not card.signatures and self._allow_unsigned):
            return False
        try:
            verify_card(fields, [proof.key])
        except CardNotTrusted as error:
            raise Problem(403, "CARD_NOT_TRUSTED", error.message, hint=error.hint) from None
        return True

    def _registration(
        self,
        request: Mapping[str, Any],
        card: a2a.AgentCard,
        fields: Mapping[str, Any],
        url: str,
        owner: str,
        proof: Proof | None,
        verified: bool,
    ) -> Registration:
        described = describe(card, url)
        kid = None if proof is None else proof.key.kid
        identity = described.identity if described.identity and verified else f"{described.id}@{kid}" if kid else None
        if kid is not None and identity is not None and kid_of(identity) != kid:
            raise Problem(403, "IDENTITY_OF_ANOTHER", f"the card says that its agent is {identity!r}, of another key")
        now = time.time()
        return Registration(
            key=_key(kid or owner, described.id, url),
            agent=described.id[:_LONGEST_NAME],
            name=card.name,
            owner=owner,
            url=url,
            card=to_json(fields),
            kid=kid,
            identity=identity,
            jwk=None if proof is None else json.dumps(proof.key.to_jwk()),
            verified=verified,
            ttl=self._ttl(request.get("ttl")),
            registered=now,
            seen=now,
            said=0.0 if proof is None else proof.said,
            load=load_in(request),
        )

    def _ttl(self, wanted: object) -> float:
        if wanted is None:
            return self._limits.ttl
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            raise Problem(400, "NOT_COMPLETE", "`ttl` is a number of seconds")
        return min(max(float(wanted), self._limits.shortest_ttl), self._limits.longest_ttl)

    async def _check_names(
        self, names: set[str], registration: Registration, card: a2a.AgentCard, fields: Mapping[str, Any]
    ) -> None:
        """A name belongs to the key that had it first; a card that is signed by that key too passes it on.

        The operator's own agents have their names in any case: of their old key nothing may be left to sign with.
        """
        if self._is_own(registration.kid):
            return
        for name, holder in (await self._store.holders(names)).items():
            same = holder.kid == registration.kid and (holder.kid or holder.owner == registration.owner)
            stronger = holder.kid is None and registration.kid is not None
            if not (same or stronger or _passed_on(card, fields, holder)):
                raise Problem(
                    409,
                    "NAME_TAKEN",
                    f"the name {name!r} belongs to somebody else",
                    hint="choose another; after a rotation, sign the card with the old key as well; if that is gone, "
                    "the name is free a week after the last agent that had it",
                )

    async def _check_room(self, owner: str, known: Registration | None) -> None:
        if known is not None:
            return
        total, owned, held = await self._store.counts(owner)
        if total >= self._limits.max_agents:
            raise Problem(503, "FULL", f"this registry holds {total} agents, as many as it may")
        if max(owned, held // 2) >= self._limits.max_per_owner:
            raise Problem(429, "TOO_MANY", f"{owner!r} has as many agents or names here as one may")


def load_in(request: Mapping[str, Any]) -> float | None:
    """How busy an agent says it is. Raises Problem."""
    load = request.get("load")
    if load is None:
        return None
    if isinstance(load, bool) or not isinstance(load, (int, float)) or not 0 <= load <= 1e6:
        raise Problem(400, "NOT_COMPLETE", "`load` is a number from 0 on; 1 is as much as the agent can do")
    return float(load)


def _key(holder: str, agent: str, url: str) -> str:
    return hashlib.sha256(f"{holder}\n{agent}\n{url}".encode()).hexdigest()[:24]


def _renewed(new: Registration, known: Registration) -> Registration:
    return replace(new, registered=known.registered, latency=known.latency, failed=known.failed)


def _passed_on(card: a2a.AgentCard, fields: Mapping[str, Any], holder: Holder) -> bool:
    if holder.jwk is None or identity_in(card) is None:  # a card that names no key may be signed by anybody as well
        return False
    try:
        verify_card(fields, [PublicKey.from_jwk(json.loads(holder.jwk))])
    except TrustError:
        return False
    return True


def _labels(card: a2a.AgentCard) -> Labels:
    described = describe(card, "")
    return Labels(described.skills, described.tags, text_of(card))


def text_of(card: a2a.AgentCard) -> str:
    """What a card says in sentences."""
    texts = [card.description]
    for skill in card.skills:
        texts += [skill.description, *skill.examples]
    return "\n".join(texts)


def _deeper_than(value: object, depth: int) -> bool:
    """Without recursion: what is looked at may be made to exhaust it."""
    level = [value]
    for _ in range(depth + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
