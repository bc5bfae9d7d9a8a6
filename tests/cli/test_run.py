"""`codin run`: how it ends, what it takes back, and where it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import run

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")


def test_an_unknown_runtime_is_answered_with_those_there_are() -> None:
    done = run("run", "--on", "nope", "true")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no runtime 'nope'. Hint: one of: ")
    assert "local" in done.stderr


def test_what_it_had_too_much_of_is_said() -> None:
    done = run("run", "--time", "0.5", "sleep", "60")
    assert done.returncode == 124
    assert done.stderr == "the workload took longer than 0.5 s on 'local': it was stopped; --time gives it more\n"
    done = run("run", "--memory", "32", "python3", "-c", "bytearray(10**8)")
    assert "--memory gives it more" in done.stderr
    assert "limits." not in done.stderr


def test_files_are_taken_over_none_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    done = run("run", "--get", "*.txt", "--get", "*.png", "sh", "-c", "echo yours > a.txt", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "a.txt").read_text()) == (1, "mine")
    assert (tmp_path / "a-2.txt").read_text() == "yours\n"
    assert done.stderr.splitlines() == ["a-2.txt: 6 bytes", "it has left no *.png in its working folder"]


@pytest.mark.parametrize("sandbox", ["required", "off"])
def test_its_folder_is_a_new_one_with_what_is_put_there(tmp_path: Path, sandbox: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    done = run("run", "--sandbox", sandbox, "--put", "a.txt", "ls", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "a.txt\n")
