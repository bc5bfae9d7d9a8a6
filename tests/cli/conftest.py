"""A served agent for the tests to call, and commands inside of this process where a subprocess shows nothing more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from codin.cli import main
from tests.cli.command import Running


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of the agent in `served.py`."""
    with Running("serve", str(Path(__file__).parent / "served.py"), "--port", "0") as running:
        yield running.serving()


@pytest.fixture
def codin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Done]]:
    """Runs a command in this process, which is quicker. What it imports from `tmp_path` is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("CODIN_TOKEN", "CODIN_API_KEY", "CODIN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield call
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
