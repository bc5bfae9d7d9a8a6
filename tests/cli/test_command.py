"""`codin` itself: its help, its version, and how errors look."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import codin as library
from codin.cli._exits import Exit
from tests.cli.command import CODIN, environment, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]


def test_help_needs_nothing_but_click() -> None:
    program = (
        "import sys; from codin.cli import main; code = main(['--help'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment()
    )
    assert "codin serve hello.py" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {"anyio", "asyncio", "httpx", "pydantic", "rich", "starlette", "uvicorn"}


@pytest.mark.parametrize("command", ["serve", "card", "call", "tasks", "memory", "version"])
def test_every_command_has_help_and_is_in_the_list(codin: Codin, command: str) -> None:
    assert codin(command, "--help").out.startswith(f"Usage: codin {command} ")
    assert f"\n  {command} " in codin().out


def test_version(codin: Codin) -> None:
    assert codin("--version").out == f"codin {library.__version__}\n"
    assert codin("version").out.startswith(f"codin {library.__version__}, A2A 1.0, Python 3.")


@pytest.mark.parametrize("arguments", [["dance"], ["serve"], ["card"], ["call"], ["tasks"], ["--loud"]])
def test_a_wrong_command_line_is_one_line(codin: Codin, arguments: list[str]) -> None:
    done = codin(*arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert "--help" in line


def test_tracebacks_are_for_those_who_ask(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = y\n")
    quiet = run("card", "bad.py", cwd=tmp_path)
    assert (quiet.returncode, len(quiet.stderr.splitlines())) == (2, 1)
    assert "CODIN_DEBUG=1" in quiet.stderr
    loud = run("card", "bad.py", cwd=tmp_path, env={"CODIN_DEBUG": "1"})
    assert "Traceback" in loud.stderr
    assert "NameError" in loud.stderr


def test_a_bug_is_one_line_too(codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no\nway")

    monkeypatch.setattr("codin.cli._version.platform.python_version", broken)
    assert codin("version") == (70, "", "error: RuntimeError: no way. Hint: CODIN_DEBUG=1 shows where\n")


def test_a_reader_that_has_enough_is_no_error(server: str, codin: Codin) -> None:
    assert codin("call", server, "hello").code == 0  # so that there is something to list
    command = subprocess.Popen(
        [*CODIN, "tasks", server], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert command.stdout is not None
    command.stdout.close()  # before the command has anything to write
    assert command.stderr is not None
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait(60) == 0


def test_the_exit_codes_are_those_of_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    _, _, section = page.read_text(encoding="utf-8").partition("\n## Exit codes\n")
    documented = re.findall(r"^\| (\d+) \|", section, re.MULTILINE)
    assert [int(code) for code in documented] == [code.value for code in Exit]


@pytest.mark.parametrize("group", ["tools", "memory", "keys", "trust", "push", "new"])
def test_a_group_without_a_command_shows_its_help(codin: Codin, group: str) -> None:
    assert codin(group) == codin(group, "--help")
