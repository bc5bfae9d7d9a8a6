"""What every test shares."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, settings

from codin.client import _card
from tests.servers.docker import SERVERS

# A busy machine draws slowly and runs unevenly; neither is a failure. The seed is printed with a failure.
settings.register_profile("codin", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("codin")

# What takes a minute to build is kept for the next run, although the tests leave the home of whoever runs them.
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
# Programs that are not installed here come from `make test`'s folder.
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], f"{SERVERS}/usr/bin"])
# Clusters take minutes to test: `make test-distributed`.
if "CODIN_DISTRIBUTED" not in os.environ:
    collect_ignore = ["runtime/test_kubernetes.py", "runtime/test_ray.py", "server/test_ray.py"]


@pytest.fixture(autouse=True)
def no_known_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    # A free port may be one that another test's agent had a minute ago, whose card may still be kept.
    monkeypatch.setattr(_card, "_process_cards", _card.CardCache())


@pytest.fixture(autouse=True, scope="session")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # For what serves several tests, and was begun before the first of them.
    with pytest.MonkeyPatch.context() as monkeypatch:
        _leave_home(monkeypatch, tmp_path_factory)
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    _leave_home(monkeypatch, tmp_path_factory)


def _leave_home(monkeypatch: pytest.MonkeyPatch, places: pytest.TempPathFactory) -> None:
    """What keys the person who runs the tests has, whom they trust and what they serve, is no business of a test."""
    place = places.getbasetemp() / token_hex(8)
    (place / "home").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place / "home"))
    monkeypatch.setenv("CODIN_TRUST_STORE", str(place / "trust.json"))
    monkeypatch.setenv("CODIN_RUNTIME", str(place / "runtime"))
    for name in ("CODIN_KEY", "CODIN_KEYS"):
        monkeypatch.delenv(name, raising=False)


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
