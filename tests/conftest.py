"""What every test shares."""

from __future__ import annotations

import re
from collections.abc import Generator
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
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    # What the person who runs the tests trusts, and who is served beside, is no business of theirs.
    place = tmp_path_factory.getbasetemp() / token_hex(8)
    monkeypatch.setenv("CODIN_TRUST_STORE", str(place / "trust.json"))
    monkeypatch.setenv("CODIN_RUNTIME", str(place / "runtime"))


# Private keys, bearer tokens, JWTs.
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bBearer [\w.~+/-]{16,}|\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}", re.ASCII
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever a test is about: what it logs and prints, its servers included, holds no secret."""
    report = yield
    if report.when == "call" and report.passed:
        said = f"{report.caplog}\n{report.capstdout}\n{report.capstderr}"
        if (found := _SECRET.search(said)) is not None:
            report.outcome = "failed"
            report.longrepr = f"a secret is in the output: {found[0][:20]}…"
    return report


@pytest.fixture
def anyio_backend() -> str:
    # The server runs on asyncio only; the tests run where it runs.
    return "asyncio"
