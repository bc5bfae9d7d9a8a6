"""`codin tools`: the tools of a folder are listed, used, and served to clients of MCP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codin import __version__
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


@tool
def tear(paper: str) -> str:
    """Fail."""
    raise ValueError(f"{paper} does not tear")


@tool(approval=True)
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
    assert [row.split()[0] for row in rows] == ["erase", "halve", "pay", "shout", "spell", "tear"]
    assert rows[3].rstrip().endswith("Say it louder.")
    found = codin("tools", "list", "--folder", folder, "half", "--json")
    assert [json.loads(line)["name"] for line in found.out.splitlines()] == ["halve"]
    assert json.loads(found.out)["input_schema"]["required"] == ["number"]
    nothing = codin("tools", "list", "--folder", folder, "harbour")
    assert (nothing.code, nothing.out) == (1, "")


def test_where_they_would_run_is_shown(folder: Path, tmp_path: Path) -> None:
    """An installed tool has no word in it, and whoever is at the command line has the last one."""
    site = tmp_path / "site"
    info = site / "inst-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: inst\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[codin.tools]\nwhoami = inst:whoami\n")
    code = (
        "import os\nfrom codin.tool import tool\n@tool(sandbox='off')\ndef whoami() -> int:\n    return os.getpid()\n"
    )
    (site / "inst.py").write_text(code)
    env = {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}

    def where(*options: str) -> dict[str, str]:
        done = run("tools", "list", "--folder", str(folder), "--json", *options, env=env)
        told = map(json.loads, done.stdout.splitlines())
        return {each["name"]: each["sandbox"] for each in told if each["name"] in ("shout", "whoami")}

    assert where("--installed") == {"shout": "off", "whoami": "required"}
    assert where("--installed", "--tool-sandbox", "whoami=off") == {"shout": "off", "whoami": "off"}
    assert where("--tool-sandbox", "shout=required") == {"shout": "required"}
    table = run("tools", "list", "--folder", str(folder), "--installed", "whoami", env=env).stdout
    assert table.splitlines()[1].split()[:2] == ["whoami", "required"]
    unknown = run("tools", "list", "--folder", str(folder), "--tool-sandbox", "whoami=off", env=env)
    assert (unknown.returncode, unknown.stdout) == (2, "")


def test_one_that_is_broken_is_in_nobody_s_way(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "hollow-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hollow\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[codin.tools]\nnothing = hollow:nothing\n")
    (site / "hollow.py").write_text("")
    (folder / "later.py").write_text("from some import TIMES")
    env = {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    listed = run("tools", "list", "--folder", str(folder), "--installed", env=env)
    assert listed.returncode == 2
    assert "shout" in listed.stdout
    file, package = listed.stderr.splitlines()
    assert file.startswith(f"left out: the tools in {folder}/later.py cannot be imported: ImportError: cannot import")
    assert package == (
        "left out: the tools 'nothing' (hollow:nothing) of the package 'hollow' cannot be imported: AttributeError: "
        "module 'hollow' has no attribute 'nothing'. Hint: pip uninstall hollow, or another version of it"
    )
    called = run("tools", "call", "--folder", str(folder), "shout", "text=tea", "--json")
    assert (called.returncode, called.stdout) == (0, '"TEA"\n')
    assert "left out: the tools in" in called.stderr


def test_what_a_caller_lacks_the_scope_for_is_not_there(codin: Codin, folder: Path) -> None:
    other = codin("tools", "list", "--folder", folder, "--scope", "other").out
    assert "shout" in other
    assert "pay" not in other
    done = codin("tools", "call", "--folder", folder, "pay", "amount=3")
    assert (done.code, done.err) == (2, "error: the tool 'pay' needs the scope pay. Hint: --scope pay\n")
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
        (("erase", "name=all"), 1, "has to be approved, and nobody can be asked: there is no task to ask in\n"),
        (("wring",), 2, "there is no tool 'wring'"),
        (("halve", "number=3", "--tool-sandbox", "halve=maybe"), 2, "write NAME=WORD"),
        (
            ("halve", "number=3", "--tool-sandbox", "havle=off"),
            2,
            "names 'havle', which is no tool here. Hint: there are",
        ),
    ],
)
def test_what_is_refused(codin: Codin, folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = codin("tools", "call", "--folder", folder, *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_what_a_tool_raises_is_one_line(folder: Path) -> None:
    done = run("tools", "call", "--folder", str(folder), "tear", "paper=gold")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: 'tear' failed: ValueError: gold does not tear\n"


def test_a_sandbox_within_a_sandbox_is_refused_with_a_way_out(folder: Path) -> None:
    env = {"CODIN_SANDBOX": "local", "DOCKER_HOST": "unix:///nowhere", "KUBECONFIG": "/nowhere"}
    options = ["--folder", str(folder), "--tool-sandbox", "shout=required"]
    done = run("tools", "call", *options, "shout", "text=tea", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "this process is in a sandbox itself, which lets it make no other" in done.stderr
    hint = 'Hint: sandbox = "off" in its agent.toml lets an agent\'s tools have theirs, its own or those that it serves'
    assert done.stderr.endswith(f"{hint} to others (share_tools)\n"), done.stderr


def test_where_there_are_none_it_says_where_it_looked(
    codin: Codin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CODIN_TOOLS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert f"no workspace from {tmp_path} upward" in codin("tools", "list").err
    (tmp_path / "tools").mkdir()
    assert "--folder tools" in codin("tools", "list", "--json").err
    assert "there are no tools in tools" in codin("tools", "list", "--folder", "tools").err
    assert "there are no tools in tools" in codin("tools", "call", "--folder", "tools", "shout").err
    (tmp_path / "agents").mkdir()
    assert f"there are no tools in {tmp_path / 'tools'}" in codin("tools", "list").err
    assert f"there are no tools in {tmp_path / 'tools'}" in run("tools", "serve", cwd=tmp_path).stderr


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


def test_a_client_is_told_whose_version_it_is(folder: Path) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
    done = run("tools", "serve", "--folder", str(folder), stdin=f"{asked}\n")
    assert json.loads(done.stdout)["result"]["serverInfo"] == {"name": "codin", "version": __version__}


def test_they_are_served_over_http_by_credential(folder: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("ada a-token-of-ada scopes=pay\nbob a-token-of-bob\n")
    options = ("--folder", str(folder), "--http", "--port", "0", "--token-file", str(tokens))
    with Running("tools", "serve", *options) as running:
        url = running.serving(r"tools at (\S+)\n")
        with pytest.raises(ConfigError, match=r"401.*headers=.*Authorization"):
            mcp_tools(url=url)
        names = [tool.name for tool in mcp_tools(url=url, headers={"Authorization": "Bearer a-token-of-bob"})]
        assert sorted(names) == ["erase", "halve", "shout", "spell", "tear"]

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


@pytest.mark.parametrize("option", ["port", "token-file", "api-key-file", "oidc-issuer", "oidc-audience"])
def test_what_is_for_http_is_refused_without_it(codin: Codin, folder: Path, option: str) -> None:
    value = folder / "some.py" if option.endswith("file") else 9000
    done = codin("tools", "serve", "--folder", folder, f"--{option}", value)
    assert done.code == 2
    assert f"--{option} goes with --http" in done.err
