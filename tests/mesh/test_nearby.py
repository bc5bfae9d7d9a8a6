"""Servers of one user on one machine, found by their notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from codin.errors import ConfigError
from codin.mesh import Found, Nearby, Note
from codin.mesh._nearby import runtime_folder
from codin.net import Transport
from tests.mesh.publishing import Web, card, place

ECHO = Found("echo", "Echo", place("echo"), identity="echo@k")


def find(transport: Transport | None = None, **wish: str) -> Sequence[Found]:
    """What this user's programs find."""
    return anyio.run(partial(Nearby(transport=transport).find, **wish))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    monkeypatch.setenv("CODIN_RUNTIME", str(folder))
    return folder


def test_a_note_is_found_as_long_as_its_server_lives(folder: Path) -> None:
    assert find() == []
    note = Note.leave([ECHO, Found("poet", "Poet", place("poet"))])
    assert [found.id for found in find()] == ["echo", "poet"]
    (found,) = find(name="ECHO")
    assert (found.url, found.identity, found.health) == (place("echo"), "echo@k", "healthy")
    assert found.card is None  # no card was read for a name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert note.path.stat().st_mode & 0o777 == 0o600
    note.remove()
    note.remove()
    assert find() == []


def test_more_than_a_name_is_asked_of_the_cards(folder: Path) -> None:
    note = Note.leave([ECHO, Found("poet", "Poet", place("poet"))])
    web = Web({place(name): card(name).to_dict() for name in ("echo", "poet")})
    assert [found.id for found in find(skill="poet-skill", transport=web)] == ["poet"]
    note.remove()


def test_a_server_that_was_killed_leaves_nothing_behind(folder: Path) -> None:
    program = (
        "import os, signal\n"
        "from codin.mesh import Found, Note\n"
        "Note.leave([Found('dead', 'Dead', 'http://dead.test/card.json')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert len(list(folder.glob("*.json"))) == 1
    assert find() == []
    assert list(folder.glob("*.json")) == []


def test_what_is_no_note_is_passed_over(folder: Path, tmp_path: Path) -> None:
    note = Note.leave([ECHO])
    held = [Note.leave([]) for _ in range(4)]
    for each, words in zip(held, ("", "[]", '{"agents": 7}', '{"agents": [7, {}, {"id": 1}]}'), strict=True):
        each.path.write_text(words)
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"agents": [{"id": "x", "name": "x", "identity": None, "url": "http://x"}]}))
    (folder / "link.json").symlink_to(secret)
    (folder / "folder.json").mkdir()
    assert [found.id for found in find()] == ["echo"]
    assert secret.exists()
    for each in (note, *held):
        each.remove()


def test_the_folder_is_this_users_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not there"):
        runtime_folder(create=False)
    folder.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="alone"):
        runtime_folder(create=True)
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(other)
    monkeypatch.setenv("CODIN_RUNTIME", str(link))
    with pytest.raises(ConfigError, match="alone"):
        runtime_folder(create=True)
    monkeypatch.delenv("CODIN_RUNTIME")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(other))
    assert runtime_folder(create=True) == other / "codin"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert runtime_folder(create=True) == tmp_path / f"codin-{os.getuid()}"


def test_a_folder_of_somebody_else_is_as_if_it_were_empty(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    note = Note.leave([ECHO])
    folder.chmod(0o777)
    assert find() == []
    folder.chmod(0o700)
    assert len(find()) == 1
    note.remove()
