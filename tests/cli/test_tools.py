"""`codin tools`: the tools of a folder are listed, used, and served to clients of MCP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codin.agent.adapters.mcp import mcp_tools
from codin.errors import ConfigError, ToolFailed
from codin.tool import ToolExecutor
from tests.cli.command import ROOT, Running, environment, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

TOOLS = '''
from collections.abc import AsyncIterator

from codin.tool import tool


@tool
def shout(text: str, times: int = 1) -> str:
    """Say it louder.

    More than once, if that is wanted.
    """
    print("somebody shouts")
    return text.upper() * times


@tool
def halve(number: int) -> dict[str, float]:
    """Half as much."""
    return {"half": number / 2}


@tool
async def spell(text: str) -> AsyncIterator[str]:
    """Letter by letter."""
    for letter in text:
        yield letter + "-"


@tool(scopes={"pay"})
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(approval="always")
def erase(name: str) -> str:
    """Erase something."""
    return name
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "some.py").write_text(TOOLS)
    return folder


def test_they_are_listed(codin: Codin, folder: Path) -> None:
    done = codin("tools", "list", "--folder", folder)
    assert done.code == 0
    header, *rows = done.out.splitlines()
    assert header.split() == ["TOOL", "TAKES", "NEEDS", "SANDBOX", "DOES"]
    assert [row.split()[0] for row in rows] == ["erase", "halve", "pay", "shout", "spell"]
    assert rows[3].rstrip().endswith("Say it louder.")
    found = codin("tools", "list", "--folder", folder, "half", "--json")
    assert [json.loads(line)["name"] for line in found.out.splitlines()] == ["halve"]
    assert json.loads(found.out)["input_schema"]["required"] == ["number"]
    nothing = codin("tools", "list", "--folder", folder, "harbour")
    assert (nothing.code, nothing.out) == (1, "")


def test_what_a_caller_lacks_the_scope_for_is_not_there(codin: Codin, folder: Path) -> None:
    other = codin("tools", "list", "--folder", folder, "--scope", "other").out
    assert "shout" in other
    assert "pay" not in other
    done = codin("tools", "call", "--folder", folder, "pay", "amount=3")
    assert (done.code, done.err) == (2, "error: there is no tool 'pay'. Hint: there are erase, halve, shout, spell\n")
    done = codin("tools", "call", "--folder", folder, "--scope", "pay", "pay", "amount=3")
    assert (done.code, done.out) == (0, "paid 3\n")


def test_one_is_used(codin: Codin, folder: Path) -> None:
    def call(*words: str) -> Done:
        return codin("tools", "call", "--folder", folder, *words)

    assert call("shout", "text=5", "times=2").out.splitlines()[-1] == "55"
    assert json.loads(call("halve", "number=5").out) == {"half": 2.5}
    done = call("shout", "text=tea", "--json")
    assert (done.out, done.err) == ('"TEA"\n', "somebody shouts\n")
    assert call("halve", "--data", '{"number": 3}', "--json").out == '{"half": 1.5}\n'
    assert call("spell", "text=tea").out == "t-e-a-\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shout",), 2, "text: Field required"),
        (("halve", "number=many"), 2, "valid integer"),
        (("halve", "number"), 2, "write KEY=VALUE"),
        (("halve", "--data", "[3]"), 2, "--data is no object"),
        (("halve", "--data", "{"), 2, "--data is no JSON"),
        (("erase", "name=all"), 1, "approv"),
        (("halve", "number=3", "--tool-sandbox", "halve=maybe"), 2, "write NAME=WORD"),
    ],
)
def test_what_is_refused(codin: Codin, folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = codin("tools", "call", "--folder", folder, *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_they_are_served_to_the_program_that_starts_it(folder: Path) -> None:
    command = [sys.executable, "-m", "codin.cli", "tools", "serve", "--folder", str(folder), "--scope", "pay"]

    async def use() -> None:
        async with mcp_tools(command, env=environment(), cwd=ROOT, sandbox="off") as tools:
            executor = ToolExecutor(tools)
            assert await executor.call("shout", {"text": "tea"}) == "TEA"  # and what it prints disturbs nobody
            assert await executor.call("pay", {"amount": 3}) == "paid 3"
            with pytest.raises(ToolFailed, match="approv"):
                await executor.call("erase", {"name": "all"})

    asyncio.run(use())


def test_they_are_served_over_http_by_credential(folder: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("ada a-token-of-ada scopes=pay\nbob a-token-of-bob\n")
    options = ("--folder", str(folder), "--http", "--port", "0", "--token-file", str(tokens))
    with Running("tools", "serve", *options) as running:
        url = running.serving(r"tools at (\S+)\n")
        with pytest.raises(ConfigError, match="401"):
            mcp_tools(url=url)
        names = [tool.name for tool in mcp_tools(url=url, headers={"Authorization": "Bearer a-token-of-bob"})]
        assert sorted(names) == ["erase", "halve", "shout", "spell"]

        async def use() -> None:
            async with mcp_tools(url=url, headers={"Authorization": "Bearer a-token-of-ada"}) as tools:
                assert await ToolExecutor(tools).call("pay", {"amount": 3}) == "paid 3"

        asyncio.run(use())
        running.interrupt()
        assert running.wait() == 0


@pytest.mark.parametrize("address", [("--host", "0.0.0.0"), ("--public-url", "https://tools.example")])
def test_they_are_not_served_to_everybody(folder: Path, address: tuple[str, str]) -> None:
    done = run("tools", "serve", "--folder", str(folder), "--http", "--port", "0", *address)
    assert done.returncode == 2
    assert "--token-file says who may" in done.stderr


def test_an_address_without_http_is_refused(codin: Codin, folder: Path) -> None:
    done = codin("tools", "serve", "--folder", folder, "--port", "9000")
    assert done.code == 2
    assert "--port goes with --http" in done.err
