"""What pyright says about programs that use codin: nothing about right ones, and of wrong ones exactly what they mark.

A wrong line ends with `# error: ` and the rules pyright has to name for it. By hand: `pyright -p tests/typing`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
RIGHT = sorted(HERE.glob("right_*.py"))
WRONG = sorted(HERE.glob("wrong_*.py"))

_MARK = re.compile(r"# error: (\w+(?:, \w+)*)$")


def test_pyright_finds_what_is_marked_and_nothing_else() -> None:
    report = _pyright()
    assert report["summary"]["filesAnalyzed"] == len(RIGHT) + len(WRONG)
    found = {_place(diagnostic): diagnostic["message"] for diagnostic in report["generalDiagnostics"]}
    marked = {mark for path in WRONG for mark in _marks(path)}
    unexpected = [f"{place}: {message}" for place, message in found.items() if place not in marked]
    missing = [f"{place}: not reported" for place in sorted(marked - found.keys())]
    assert not unexpected + missing, "\n".join(unexpected + missing)


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_wrong_code_is_marked(path: Path) -> None:
    assert list(_marks(path))


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_right_code_can_be_imported(path: Path) -> None:
    import_module(f"tests.typing.{path.stem}")


def _marks(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if mark := _MARK.search(line):
            yield from (f"{path.name}:{number} {rule}" for rule in mark[1].split(", "))


def _place(diagnostic: dict[str, Any]) -> str:
    line = diagnostic["range"]["start"]["line"] + 1
    return f"{Path(diagnostic['file']).name}:{line} {diagnostic.get('rule', diagnostic['severity'])}"


def _pyright() -> dict[str, Any]:
    """Its report on this folder, with the packages of this interpreter. One run for all files: it costs seconds."""
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        _cannot_start("it is not installed")
    command = [pyright, "--outputjson", "--project", HERE, "--pythonpath", sys.executable]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    start = run.stdout.find("{")  # on first use, words about node may come before the report
    if start < 0:
        _cannot_start((run.stderr or run.stdout).strip().rpartition("\n")[2])
    assert run.returncode in (0, 1), run.stdout  # the others are crashes and wrong settings
    report: dict[str, Any] = json.loads(run.stdout[start:])
    return report


def _cannot_start(reason: str) -> NoReturn:
    missing = f"pyright does not start: {reason}. `make` puts it into .venv; it runs on node, https://nodejs.org"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
