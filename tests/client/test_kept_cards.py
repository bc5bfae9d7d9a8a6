"""Cards that are kept, while what counts here changes: by our own keys, or by what was approved."""

from __future__ import annotations

from pathlib import Path

import pytest

from codin.client import connect
from codin.errors import CardChanged
from codin.trust import KeyRing, SigningKey, TrustPolicy, TrustStore
from tests.net.wire import serving
from tests.trust.publisher import CARD, Publisher

pytestmark = pytest.mark.anyio

KEPT = {"Cache-Control": "public, max-age=300"}


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_a_card_by_a_key_of_our_own_that_was_revoked_is_asked_for_anew(mode: str, tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    policy = TrustPolicy("require" if mode == "require" else "prefer", store=TrustStore(), keys=ring, first_use=False)
    publisher = Publisher(ring.active)
    publisher.headers = KEPT
    async with serving(publisher) as url:
        for _ in range(2):
            async with connect(url, trust=policy) as peer:
                assert peer.trusted.kid == ring.active.kid
        assert publisher.paths == [CARD]
        KeyRing.open(tmp_path / "keys").revoke(ring.active.kid)  # by another process, as it were
        publisher.sign(ring.active)
        for _ in range(2):
            async with connect(url, trust=policy) as peer:
                assert peer.trusted.kid == ring.active.kid
        assert publisher.paths == [CARD, CARD]


async def test_a_card_that_stays_as_it_was_is_asked_for_once_more_and_not_again(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    policy = TrustPolicy("prefer", store=TrustStore(), keys=ring, first_use=False)
    publisher = Publisher(ring.active)
    publisher.headers = KEPT
    async with serving(publisher) as url:
        async with connect(url, trust=policy) as peer:
            assert peer.trusted.verified
        for _ in range(3):
            ring.revoke(ring.active.kid)
            async with connect(url, trust=policy) as peer:
                assert not peer.trusted.verified
        assert publisher.paths == [CARD, CARD]


async def test_a_card_that_was_approved_anew_is_called_at_once() -> None:
    key, store = SigningKey.generate(), TrustStore()
    policy = TrustPolicy("prefer", store=store, first_use=False)
    publisher = Publisher(key)
    publisher.headers = KEPT
    async with serving(publisher) as url:
        store.approve(url, publisher.card(url), [key.public])
        async with connect(url, trust=policy) as peer:
            assert peer.trusted.verified
        publisher.fields = {"description": "Something else."}
        store.approve(url, publisher.card(url), [key.public])
        async with connect(url, trust=policy) as peer:
            assert peer.card.description == "Something else."
        store.approve(url, Publisher(key).card(url), [key.public])
        with pytest.raises(CardChanged):
            async with connect(url, trust=policy):
                pass
