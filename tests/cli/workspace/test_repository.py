"""This repository is a workspace: its ready-made agents run, and work with each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from codin.testing import ModelServer, extractive
from tests.cli.command import ROOT, Running, run
from tests.cli.workspace.conftest import Place

FRAMEWORKS = {"ranker": "langgraph", "critic": "adk", "writer": "crewai"}
AGENTS = {"briefer", "coder", "critic", "echo", "librarian", "ranker", "reader", "router", "summarizer", "writer"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The agents of this repository, run from elsewhere, so that a `codin up` in the checkout is not in the way."""
    place = Place(tmp_path_factory.mktemp("repository"))
    (place.folder / "agents").symlink_to(ROOT / "agents")
    with ModelServer(extractive) as model:
        env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "extractive"}
        with Running("up", str(place.folder), env=env) as up:
            up.expect(r"\w+ starting\n")
            yield place


def _is_there(name: str) -> bool:
    return name not in FRAMEWORKS or (ROOT / ".frameworks" / FRAMEWORKS[name] / "bin" / "python").exists()


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_it_runs_or_says_what_is_missing(repository: Place, name: str) -> None:
    # A framework may take a minute to be imported where many want to.
    row = repository.await_process(name, lambda row: row["state"] in {"ready", "refused", "crashed"}, 180)
    if not _is_there(name) and "CI" not in os.environ:
        assert row["state"] == "refused"
        assert "does not exist" in row["words"]
        pytest.skip("no .frameworks: make frameworks")
    assert (row["state"], row["words"]) == ("ready", "")


def test_every_agent_is_tried() -> None:
    assert {path.parent.name for path in (ROOT / "agents").glob("*/agent.py")} == AGENTS


def test_the_router_finds_the_summarizer(repository: Place) -> None:
    for name in ("router", "summarizer"):
        repository.await_process(name, lambda row: row["state"] == "ready")
    url = repository.processes()["router"]["url"]
    done = run("call", url, "A summary of this: Salt is dear in the harbour.")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Salt is dear in the harbour.\n")
    assert "asking summarizer" in done.stderr


def test_the_briefer_finds_the_others_by_their_names(repository: Place, tmp_path: Path) -> None:
    if not all(map(_is_there, AGENTS)):
        pytest.skip("no .frameworks: make frameworks")
    for name in AGENTS:
        repository.await_process(name, lambda row: row["state"] == "ready", 180)
    document = tmp_path / "salt.md"
    document.write_text("Salt is dear in the harbour. Coal is dear in the harbour. Nobody sells bread.")
    url = repository.processes()["briefer"]["url"]
    done = run("call", url, "--file", str(document), "--data", '{"sentences": 1}')
    assert done.returncode == 0, done.stderr
    assert "salt.md: 1 of 3 sentences" in done.stdout
    assert "Left out, says the critic: " in done.stdout
