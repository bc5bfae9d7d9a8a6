"""Who stands for whom: agents of one name that are one party, by what their cards are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from codin.errors import MeshError
from codin.mesh._directory import Found
from codin.mesh._signed import Signatures, Signed, key_claimed
from codin.trust import TrustPolicy

__all__ = ["Parties"]


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
        by_name: dict[str, list[Found]] = {}
        for each in found:
            by_name.setdefault(each.name.casefold(), []).append(each)
        chosen: set[str] = set()
        for members in by_name.values():
            chosen.update(each.url for each in await self._party(members))
        if found and not chosen:
            places = ", ".join(f"{each.url} (key {key_claimed(each)[:12] or 'none'})" for each in found[:5])
            raise MeshError(
                f"There are agents called {found[0].name!r} with different keys, and none is guessed: {places}.",
                hint="codin trust approve the one that is meant, or call it by its URL",
            )
        return [each for each in found if each.url in chosen]

    async def _party(self, members: Sequence[Found]) -> Sequence[Found]:
        """The party that is meant; nobody, where several are."""
        if len(members) == 1 or not any(map(_has_key, members)):
            return members
        revoked = self._policy.store.read().revoked.keys()
        signed: dict[str, Signed] = {}
        silent: list[Found] = []
        for each, by in zip(members, await self._signatures.of(members), strict=True):
            if by is None:
                silent.append(each)
            else:
                signed[each.url] = by.without(revoked)
        parties = _parted([each for each in members if each.url in signed], signed)
        # Nobody is there who could prove it. Who says that it is one of these is not called, and is nobody else.
        proven = set(chain.from_iterable(by.keys for by in signed.values()))
        parties += [[each] for each in silent if key_claimed(each) not in proven]
        known = [party for party in parties if any(self._is_known(each, signed) for each in party)]
        meant = known if len(parties) > 1 else parties
        return meant[0] if len(meant) == 1 else []

    def _is_known(self, found: Found, signed: dict[str, Signed]) -> bool:
        return found.url in signed and any(self._policy.counts(found.url, kid) for kid in signed[found.url].keys)


def _has_key(found: Found) -> bool:
    return bool(key_claimed(found) or (found.card is not None and found.card.signatures))


def _parted(members: Sequence[Found], signed: dict[str, Signed]) -> list[list[Found]]:
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
    return [*parties, *unsigned.values()]
