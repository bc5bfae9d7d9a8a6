"""Who stands for whom: agents of one name that are one party, by what their cards are signed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from codin.errors import MeshError
from codin.mesh._directory import Directory, Found
from codin.mesh._limits import MeshLimits
from codin.mesh._signed import Signatures, Signed, key_claimed
from codin.mesh._sources import Sources
from codin.trust import TrustMode, TrustPolicy

__all__ = ["Parties", "parties"]


class _Told(NamedTuple):
    """Agents of one name, told apart.

    Attributes:
        parties: those that are one by what their cards are signed with; also who says so and could not be asked.
        unsigned: those that say the same of themselves, and prove nothing.
        signed: by their addresses, who has signed.
    """

    parties: Sequence[Sequence[Found]]
    unsigned: Sequence[Sequence[Found]]
    signed: Mapping[str, Signed]


class Parties:
    """Chooses among agents that have a name in common."""

    def __init__(self, signatures: Signatures, policy: TrustPolicy) -> None:
        self._signatures = signatures
        self._policy = policy

    async def chosen(self, found: Sequence[Found]) -> Sequence[Found]:
        """Those of each name that are one party; of several parties the one that is known here.

        Raises:
            MeshError: it is not known whose agent is meant.
        """
        chosen: set[str] = set()
        for members in _by_name(found):
            chosen.update(each.url for each in await self._party(members))
        if found and not chosen:
            places = ", ".join(f"{each.url} (key {key_claimed(each)[:12] or 'none'})" for each in found[:5])
            raise MeshError(
                f"There are agents called {found[0].name!r} with different keys, and none is guessed: {places}.",
                hint="codin trust approve the one that is meant, or call it by its URL",
            )
        return [each for each in found if each.url in chosen]

    async def apart(self, found: Sequence[Found]) -> list[list[Found]]:
        """Those of each party. Who proves nothing is one with nobody, and is left out where it names a key of others.

        That is so of an agent that nobody reaches: it may be one of them.
        """
        apart: list[list[Found]] = []
        for members in _by_name(found):
            parties, unsigned, _ = await self._told_apart(members)
            apart += [sorted(party, key=members.index) for party in parties]
            apart += [[each] for each in chain.from_iterable(unsigned)]
        return apart

    async def _party(self, members: Sequence[Found]) -> Sequence[Found]:
        """The party that is meant; nobody, where several are."""
        if len(members) == 1 or not any(map(_has_key, members)):
            return members
        proven, unsigned, signed = await self._told_apart(members)
        parties = [*proven, *unsigned]
        known = [party for party in parties if any(self._is_known(each, signed) for each in party)]
        meant = known if len(parties) > 1 else parties
        return meant[0] if len(meant) == 1 else []

    async def _told_apart(self, members: Sequence[Found]) -> _Told:
        if not any(map(_has_key, members)):
            return _Told([], [members], {})
        revoked = self._policy.store.read().revoked.keys()
        signed: dict[str, Signed] = {}
        silent: list[Found] = []
        for each, by in zip(members, await self._signatures.of(members), strict=True):
            if by is None:
                silent.append(each)
            else:
                signed[each.url] = by.without(revoked)
        parties, unsigned = _parted([each for each in members if each.url in signed], signed)
        # Nobody is there who could prove it. Who says that it is one of these is not called, and is nobody else.
        proven = set(chain.from_iterable(by.keys for by in signed.values()))
        parties += [[each] for each in silent if key_claimed(each) not in proven]
        return _Told(parties, unsigned, signed)

    def _is_known(self, found: Found, signed: Mapping[str, Signed]) -> bool:
        return found.url in signed and any(self._policy.counts(found.url, kid) for kid in signed[found.url].keys)


async def parties(
    directory: Directory, name: str, *, trust: TrustPolicy | TrustMode | None = None
) -> list[list[Found]]:
    """Who is called so, by party: replicas with one key, or with two between which it is rotated, are one.

    That is proved by the signatures of their cards, which are looked at where several have the name; who proves nothing
    is one with nobody.

    Args:
        directory: asked for the name; a card is read only where it may send somebody.
        trust: whose revocations count, as `codin.connect` takes it.

    Raises:
        CodinError: the directory cannot be asked.
    """
    found = [*{each.url: each for each in await directory.find(name=name)}.values()]
    if len(found) < 2:
        return [[each] for each in found]
    sources = Sources([directory], None)
    try:
        signatures = Signatures(sources.transport, MeshLimits().lookup)
        return await Parties(signatures, TrustPolicy.of(trust)).apart(found)
    finally:
        await sources.transport.aclose()


def _has_key(found: Found) -> bool:
    return bool(key_claimed(found) or (found.card is not None and found.card.signatures))


def _by_name(found: Sequence[Found]) -> Iterable[list[Found]]:
    by_name: dict[str, list[Found]] = {}
    for each in found:
        by_name.setdefault(each.name.casefold(), []).append(each)
    return by_name.values()


def _parted(members: Sequence[Found], signed: dict[str, Signed]) -> tuple[list[list[Found]], list[list[Found]]]:
    """Those who are told apart by what they have signed, and those who have signed nothing, by what they say."""
    parties: list[list[Found]] = []
    unsigned: dict[str, list[Found]] = {}
    for each in members:
        by, claimed = signed[each.url], key_claimed(each)
        if not by.keys and not (by.broken and claimed):  # nobody can tell them apart but by what they say
            unsigned.setdefault(claimed, []).append(each)
            continue
        one = [party for party in parties if by.keys and any(by.is_one_with(signed[other.url]) for other in party)]
        parties = [party for party in parties if party not in one]
        parties.append([each, *chain.from_iterable(one)])
    return parties, [*unsigned.values()]
