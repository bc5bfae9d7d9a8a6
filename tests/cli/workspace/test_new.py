"""`codin new`: what it writes runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from codin import __version__
from tests.cli.command import Running, run
from tests.cli.conftest import Done
from tests.cli.workspace.conftest import Place

Codin = Callable[..., Done]

USING = """
from codin.agent import Task, agent
from codin.tool import workspace_tools

@agent(tools=list(workspace_tools().values()))
async def using(text: str, task: Task) -> int:
    return await task.tool("word_count", text=text)
"""


def test_a_new_agent_runs_as_it_is(tmp_path: Path, codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = codin("new", "agent", "loud-speaker")
    assert done.code == 0
    names = [".dockerignore", "Containerfile", "README.md", "agent.py", "agent.toml", "requirements.txt"]
    assert done.out.splitlines() == [f"agents/loud-speaker/{name}" for name in names]
    assert "codin serve agents/loud-speaker" in done.err
    with Running("serve", "agents/loud-speaker", "--port", "0", cwd=tmp_path) as serving:
        assert codin("call", serving.serving(), "hello").out == "HELLO\n"
    place = Place(tmp_path)
    try:
        assert place.up().keys() == {"loud-speaker"}
        assert place.call("loud-speaker", "hello") == "HELLO"
    finally:
        run("down", cwd=tmp_path)


def test_its_image_is_small_and_without_root(tmp_path: Path, codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codin("new", "agent", "hello")
    folder = tmp_path / "agents" / "hello"
    text = re.sub(r"\\\n\s*", "", (folder / "Containerfile").read_text())
    statements = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = dict(statements)
    assert [rest for keyword, rest in statements if keyword == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]
    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"] == '["/venv/bin/python3", "-m", "codin.cli", "serve", "."]'
    assert last["CMD"] == '["--host", "0.0.0.0", "--port", "8000"]'
    assert "/readyz" in last["HEALTHCHECK"]
    copied = {
        name for keyword, rest in statements if keyword == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert all((folder / name).is_file() for name in copied)
    assert {f"!{name}" for name in copied} == set((folder / ".dockerignore").read_text().split()) - {"*"}
    assert (folder / "requirements.txt").read_text() == f"codin=={__version__}\n"


def test_it_goes_into_the_workspace_around(place: Place, codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = place.agent("shout")
    monkeypatch.chdir(inner)
    assert codin("new", "agent", "hello").out.splitlines()[0] == "../hello/.dockerignore"
    assert codin("new", "tool", "word-count").out == "../../tools/word_count.py\n"
    for what in ("agent", "tool"):
        name = {"agent": "hello", "tool": "word-count"}[what]
        done = codin("new", what, name)
        assert done.code == 2
        assert "is there already" in done.err


@pytest.mark.parametrize("name", ["Hello", "9lives", "a/b", "..", "", "class", "a--b", "ä"])
def test_names_that_are_none(tmp_path: Path, codin: Codin, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for what in ("agent", "tool"):
        done = codin("new", what, name)
        assert done.code == 2
        assert "cannot be a name here" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_new_tool_is_there_for_the_agents(place: Place, codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    codin("new", "tool", "word-count")
    place.agent("using", USING)
    place.up()
    assert place.call("using", "how many words") == "3"
