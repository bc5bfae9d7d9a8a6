"""Every code block of README and docs runs."""

from __future__ import annotations

import ast
import codeop
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks_of

_DEADLINE = 150.0
_LANGUAGES = {"console", "json", "python", "sh", "text"}


# CrewAI's page runs where CrewAI is: tests/agent/adapters/crewai.
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "crewai"], ids=lambda page: page.stem)
def test_its_code_runs(page: Path, tmp_path: Path) -> None:
    done = _play(page, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```python\nprint('one')  # one\nprint('two')  # three\n```", "did not print 'three'"),
        ("```python\n\nawait missing()\n```", 'page.md", line 3'),
        ('```python title="broken.py"\nimport no_such_module\n```', "no_such_module"),
        ('```python serve="missing.py"\n```', "did not start"),
    ],
)
def test_what_does_not_run_is_seen(text: str, words: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{text}\n", encoding="utf-8")
    done = _play(page, tmp_path)
    assert done.returncode != 0
    assert words in done.stdout


def _play(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Play a page in a process group of its own; when the time is up, its servers go with it."""
    process = subprocess.Popen(
        (sys.executable, "-W", "error", "-m", "tests.docs.play", str(page)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CODIN_RUNTIME": str(folder / "runtime")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=_DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f"{page.name} ran longer than {_DEADLINE:.0f} s\n{output}")
    return subprocess.CompletedProcess(process.args, process.returncode, output)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {block.language for block in BLOCKS} - {""} <= _LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_first_block_runs(page: Path) -> None:
    first = next(blocks_of(page), None)
    assert first is not None
    assert first.language in {"console", "python", "sh"} or page.name == "README.md"  # which begins with a picture


def test_a_block_says_its_file_and_the_server_it_needs() -> None:
    """What stands behind the fence is not shown where Markdown is rendered."""
    for block in BLOCKS:
        first = block.text.partition("\n")[0]
        where = f"{block.page.name}, line {block.line}"
        if "title" in block.said:
            assert first.partition(";")[0] == f"# {block.said['title']}", where
        elif "serve" in block.said:
            assert first == f"# in another terminal: codin serve {block.said['serve']}", where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_first_client_is_a_program(page: Path) -> None:
    first = next((block for block in blocks_of(page) if "codin.connect(" in block.text), None)
    assert first is None or _is_program(first.text), f"line {first.line}: it takes `async def main()` to be one"


def test_what_is_no_program_can_be_typed_at_the_prompt_of_asyncio() -> None:
    for block in BLOCKS:
        if block.language == "python" and not _is_program(block.text):
            assert _at_the_prompt(block.text), f"{block.page.name}, line {block.line}"


def _is_program(text: str) -> bool:
    try:
        compile(text, "block", "exec")
    except SyntaxError:
        return False
    return True


def _at_the_prompt(text: str) -> bool:
    """Whether `python -m asyncio` takes it line by line, where an empty line ends what is indented."""
    command = codeop.CommandCompiler()
    command.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    typed: list[str] = []
    for line in [*text.splitlines(), ""]:
        typed.append(line)
        try:
            typed = typed if command("\n".join(typed), symbol="single") is None else []
        except SyntaxError:
            return False
    return not typed


def test_json_is_json() -> None:
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)


# -- what a reader types in a terminal ---------------------------------------------------------------------------------


def _lines(block: Block) -> list[list[str]]:
    """The words of each command line. In a block with prompts, what has none is output."""
    lines = block.text.replace("\\\n", " ").splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in prompted or lines]


COMMANDS = [(block, words) for block in BLOCKS if block.language in {"console", "sh"} for words in _lines(block)]


def test_the_commands_and_options_of_codin_exist() -> None:
    from codin.cli._main import codin

    for block, words in COMMANDS:
        for command in _pipeline(words):
            if command[0] == "codin":
                _check_options(codin, command[1:], f"{block.page.name}, line {block.line}: {' '.join(command)}")


def _pipeline(words: list[str]) -> list[list[str]]:
    """The commands of a line that are joined by `|`, `&&` or `&`."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word in {"|", "&&", "&"}:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def _check_options(command: click.Command, words: list[str], where: str) -> None:
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"{where}: there is no command {name!r}"
        command, context = found, click.Context(found, parent=context)
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, f"{where}: there is no option {word!r}"


def test_the_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for block, words in COMMANDS:
        if words[:1] == ["make"]:
            wanted = {word for word in words[1:] if "=" not in word}
            assert wanted <= targets, f"{block.page.name}, line {block.line}"
