"""`--python`: an agent whose framework is in another environment."""

from __future__ import annotations

import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import ROOT, Running, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

CREW = """
import sys

import only_there
from codin.agent import agent

@agent
def crew(text: str) -> str:
    return f"{only_there.WORD} {text} {sys.prefix}"
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what this one has, so that nothing is downloaded, and a module that this one has not."""
    place = tmp_path_factory.mktemp("other") / ".venv"
    venv.create(place, symlinks=True)
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "here.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    (packages / "only_there.py").write_text("WORD = 'crew:'\n")
    return place


@pytest.fixture
def crew(tmp_path: Path) -> Path:
    (tmp_path / "crew.py").write_text(CREW)
    return tmp_path


@pytest.mark.parametrize("reload", [[], ["--reload"]])
def test_the_agent_is_served_by_the_other_interpreter(crew: Path, other: Path, codin: Codin, reload: list[str]) -> None:
    if reload:
        pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    python = str(other / "bin" / "python")
    settings = ["--port", "0", "--store", "sqlite:///tasks.db", "--trusted-proxy", "10.0.0.1"]
    with Running("serve", "crew.py", "--python", python, *settings, *reload, cwd=crew) as serving:
        url = serving.serving(r"crew serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        assert codin("call", url, "hello").out == f"crew: hello {other}\n"
        assert (crew / "tasks.db").exists()
        serving.interrupt()
        assert serving.wait() == 0


def test_a_folder_says_what_it_serves_and_with_what(crew: Path, other: Path, codin: Codin) -> None:
    folder = crew / "agents" / "crew"
    folder.mkdir(parents=True)
    (crew / "crew.py").rename(folder / "crew.py")
    (folder / "env").symlink_to(other)
    (folder / "agent.toml").write_text('target = "crew.py:crew"\npython = "env/bin/python"\n')
    assert run("card", "agents/crew", cwd=crew).stdout.startswith("crew  1.0.0\n")
    with Running("serve", "agents/crew/", "--port", "0", cwd=crew) as serving:
        url = serving.serving(r"crew serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        assert codin("call", url, "hello").out.startswith("crew: hello ")


def test_a_folder_without_a_manifest_is_its_agent(crew: Path) -> None:
    (crew / "agent.py").write_text("def shout(text: str) -> str:\n    return text.upper()\n")
    assert run("card", ".", cwd=crew).stdout.startswith("shout  1.0.0\n")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("target = 3", "target is text"),
        ('entry = "crew.py"', "has no key 'entry'"),
        ("target", "cannot be read"),
        ('target = "gone.py"', "there is no file"),
    ],
)
def test_a_manifest_that_cannot_be_followed(crew: Path, manifest: str, said: str) -> None:
    (crew / "agent.toml").write_text(manifest)
    done = run("card", ".", cwd=crew)
    assert done.returncode == 2
    assert said in done.stderr


def test_two_folders_for_two_interpreters(crew: Path, other: Path) -> None:
    (crew / "a").mkdir()
    (crew / "a" / "agent.toml").write_text('python = "python3"')
    done = run("serve", "a", "crew.py", cwd=crew)
    assert done.returncode == 2
    assert "a and crew.py are not for the same interpreter" in done.stderr


def test_without_it_the_missing_module_is_named(crew: Path) -> None:
    assert "is 'only_there' installed" in run("serve", "crew.py", cwd=crew).stderr


def test_the_interpreter_may_be_named_from_where_one_is(crew: Path, other: Path) -> None:
    (crew / "env").symlink_to(other)
    done = run("card", "crew.py", "--python", "env/bin/python", "--public-url", "https://a.example", cwd=crew)
    assert done.stdout.startswith("crew  1.0.0\n")
    assert "https://a.example/" in done.stdout
    assert run("card", "crew.py", "--python", "env/bin/python", "--json", cwd=crew).stdout.startswith("{")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere/python", "'nowhere/python' does not exist"),
        ("notes", "'notes' is not executable"),
        ("bare", "is a folder. Hint: name the interpreter in it: bare/bin/python"),
        ("./old", "is Python 3.10; codin needs 3.11 or later"),
        ("./echo", "is no Python 3"),
        ("bare/bin/python", "cannot import codin: ModuleNotFoundError: No module named 'click'. Hint: "),
    ],
)
def test_what_cannot_run_codin_is_one_line(crew: Path, given: str, words: str) -> None:
    venv.create(crew / "bare", symlinks=True)
    (crew / "notes").write_text("text")
    for name, line in (("old", "echo 3 10"), ("echo", "echo hello")):
        (crew / name).write_text(f"#!/bin/sh\n{line}\n")
        (crew / name).chmod(0o755)
    for command in (["serve", "crew.py"], ["serve", "crew.py", "--reload"], ["card", "crew.py"]):
        done = run(*command, "--python", given, cwd=crew)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: --python '{given}' ")
        assert words in line


def test_how_codin_gets_into_an_interpreter_is_said(crew: Path) -> None:
    python = crew / "bare" / "bin" / "python"
    venv.create(crew / "bare", symlinks=True)
    done = run("serve", "crew.py", "--python", "bare/bin/python", cwd=crew)
    assert done.stderr.endswith(f"Hint: {python} -m pip install codin\n")


def test_a_url_needs_no_interpreter(codin: Codin) -> None:
    done = codin("card", "http://127.0.0.1:1", "--python", sys.executable)
    assert (done.code, done.out) == (2, "")
    assert "belong to a TARGET" in done.err
