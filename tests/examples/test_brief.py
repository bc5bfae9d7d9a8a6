"""`make demo`: five agents in processes of their own, on documents that they have never seen."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.brief import DOCUMENT, FRAMEWORKS
from tests.examples.prose import Place, prose

ROOT = DOCUMENT.parents[2]
COMMAND = (sys.executable, "-W", "error", "-m", "examples.brief")

_QUOTE = re.compile(r"^> (.+)\n  \[(?:(.+), )?sentence (\d+) \(line (\d+)\)\]$", re.MULTILINE)
_PROCESS = re.compile(r"^(\w+) +(?:A2A|answers) at http://127\.0\.0\.1:\d+[/v1]* \(process (\d+)\)$", re.MULTILINE)
_OPENING = re.compile(r"^.+: \d+ of \d+ sentences\n\n(.+)\n\n>", re.MULTILINE)
_MISSED = re.compile(r"^Left out, says the critic: (.+)$", re.MULTILINE)
_AGENTS = {"reader", "ranker", "writer", "critic", "briefer"}
_EVERYBODY = {"model", "registry", *_AGENTS}

pytestmark = pytest.mark.skipif(
    not (FRAMEWORKS / "crewai").exists() and "CI" not in os.environ, reason="no .frameworks: make frameworks"
)


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=170, check=False,
        env=_without_a_model(),
    )  # fmt: skip


def _without_a_model() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def _processes(output: str) -> dict[str, int]:
    return {name: int(pid) for name, pid in _PROCESS.findall(output)}


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _brief(output: str) -> list[tuple[str, Place]]:
    """The quotes, each with the place that is given for it."""
    return [(text, Place(section, int(line))) for text, section, _, line in _QUOTE.findall(output)]


def _check_the_mesh(output: str) -> None:
    """Everybody's card is signed, a forged one is refused, and tasks are for whoever began them."""
    signed = re.findall(r"^(\w+) +is in the registry, signed by the key (\S+)…$", output, re.MULTILINE)
    assert {name for name, _ in signed} == _AGENTS
    assert len({key for _, key in signed}) == 1
    (refused,) = re.findall(r"^you +→ forger +(.+)$", output, re.MULTILINE)
    assert "does not fit this card" in refused
    assert re.findall(r"^(\w+) +task \w+ completed$", output, re.MULTILINE) == ["briefer"]
    assert set(re.findall(r"^(\w+) +shows you no task", output, re.MULTILINE)) == _AGENTS - {"briefer"}


def test_the_default_document() -> None:
    done = _run()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(_brief(done.stdout)) == 5
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for text, place in _brief(done.stdout):
        assert text in lines[place.line - 1]
        headings = [line for line in lines[: place.line] if line.startswith("#")]
        assert headings[-1] == f"## {place.section}"
    processes = _processes(done.stdout)
    assert set(processes) == _EVERYBODY
    assert len({*processes.values(), os.getpid()}) == 8
    assert all(_ended(pid) for pid in processes.values())


def test_a_document_it_has_never_seen(tmp_path: Path) -> None:
    written = prose(2024)
    file = tmp_path / "found letters.md"
    file.write_text(written.text, encoding="utf-8")
    done = _run(file)
    assert (done.returncode, done.stderr) == (0, "")
    on_one_line = {" ".join(text.split()): places for text, places in written.sentences.items()}
    assert len(_brief(done.stdout)) == 5
    for text, place in _brief(done.stdout):
        assert place in on_one_line[text]
    quoted = [text for text, _ in _brief(done.stdout)]
    (opening,) = _OPENING.findall(done.stdout)
    first, second = (text for text in quoted if text in opening)
    assert opening == f"{first} {second}"
    (missed,) = _MISSED.findall(done.stdout)
    assert missed in on_one_line
    assert missed not in quoted
    total = sum(map(len, written.sentences.values()))
    numbers = ", ".join(number for _, _, number, _ in _QUOTE.findall(done.stdout))
    told = re.findall(r"^(\w+) +→ (\w+) +(.+)$", done.stdout, re.MULTILINE)
    assert [(caller, called) for caller, called, _ in told] == [
        ("forger", "you"), ("you", "forger"), ("you", "briefer"), ("briefer", "reader"), ("reader", "briefer"),
        ("briefer", "you"), ("you", "briefer"),
        ("briefer", "ranker"), ("ranker", "briefer"), ("briefer", "writer"), ("writer", "briefer"),
        ("briefer", "critic"), ("critic", "briefer"), ("briefer", "you"),
    ]  # fmt: skip
    assert told[4][2].startswith(f"{total} sentences")
    assert told[8][2] == f"sentences {numbers}"
    _check_the_mesh(done.stdout)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(range(256)), "document is not text in UTF-8 (byte 128 does not fit)."),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_briefed(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "document"
    if content is not None:
        file.write_bytes(content)
    done = _run(file)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"{said}\n")
    assert done.stderr.count("\n") == 1
    assert all(_ended(pid) for pid in _processes(done.stdout).values())


def test_a_file_without_end() -> None:
    done = _run("/dev/zero")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: /dev/zero has more than 10,000,000 bytes, which is too much for one message.\n"


def test_wrong_usage() -> None:
    done = _run("one", "two")
    assert (done.returncode, done.stderr) == (2, "usage: python -m examples.brief [FILE]\n")


# -- in a terminal -----------------------------------------------------------------------------------------------------


@contextmanager
def _terminal() -> Generator[tuple[subprocess.Popen[str], int]]:
    """The demo with a terminal as its standard input, and the side of it where the person types."""
    person, terminal = pty.openpty()
    process = subprocess.Popen(
        COMMAND, cwd=ROOT, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env=_without_a_model(),
    )  # fmt: skip
    try:
        yield process, person
    finally:
        process.kill()
        process.communicate()
        os.close(terminal)
        os.close(person)


def _until_asked(process: subprocess.Popen[str]) -> str:
    """What it prints up to the question; raises when it ends before."""
    assert process.stdout is not None
    said = ""
    while not said.endswith("your answer [5]: "):
        letter = process.stdout.read(1)
        assert letter, said + process.communicate()[1]
        said += letter
    return said


def test_a_person_is_asked_for_the_length() -> None:
    with _terminal() as (process, person):
        _until_asked(process)
        os.write(person, b"a few\n")
        asked_again = _until_asked(process)
        os.write(person, b"2\n")
        rest, errors = process.communicate(timeout=120)
    assert "That does not fit: " in asked_again
    assert (process.returncode, errors) == (0, "")
    assert len(_brief(rest)) == 2


@pytest.mark.parametrize("reason", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_behind(reason: signal.Signals) -> None:
    with _terminal() as (process, _):
        processes = _processes(_until_asked(process))
        process.send_signal(reason)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert set(processes) == _EVERYBODY
    assert all(_ended(pid) for pid in processes.values())
