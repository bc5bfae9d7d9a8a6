"""What every test shares."""

from __future__ import annotations

from secrets import token_hex

import pytest
from hypothesis import HealthCheck, settings

from codin.client import _card

# A busy machine draws slowly and runs unevenly; neither is a failure. The seed is printed with a failure.
settings.register_profile("codin", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("codin")


@pytest.fixture(autouse=True)
def no_known_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    # A free port may be one that another test's agent had a minute ago, whose card may still be kept.
    monkeypatch.setattr(_card, "_process_cards", _card.CardCache())


@pytest.fixture(autouse=True)
def nothing_decided(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    # What the person who runs the tests trusts is no business of theirs.
    monkeypatch.setenv("CODIN_TRUST_STORE", str(tmp_path_factory.getbasetemp() / token_hex(8) / "trust.json"))


@pytest.fixture
def anyio_backend() -> str:
    # The server runs on asyncio only; the tests run where it runs.
    return "asyncio"
