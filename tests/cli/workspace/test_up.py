"""`codin up`, `down` and `ps`: processes that are looked after."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from codin.trust import KeyRing
from tests.cli.command import PATIENCE, Running, Terminal, run
from tests.cli.workspace.conftest import SHOUT, Place, await_end
from tests.docs.pages import ROOT, blocks_of

WHISPER = SHOUT.replace("shout", "whisper").replace("upper", "lower")
TELL_CALLER = """
from codin.agent import Task, agent

@agent
def tell(task: Task) -> str:
    return task.caller.id
"""
ASK = """
from codin.agent import Task, agent

@agent
async def ask(text: str, task: Task) -> str:
    return (await task.call("tell", text)).text
"""
BROKEN = "raise RuntimeError('no luck')"


def test_every_agent_runs_until_ctrl_c(place: Place) -> None:
    place.agent("shout")
    place.agent("whisper", WHISPER)
    (place.folder / "agents" / "notes").mkdir()  # no agent
    with Running("up", cwd=place.folder / "agents" / "shout") as up:  # the workspace is found from within
        up.expect(r"(shout|whisper) ready http://127\.0\.0\.1:\d+/\n")
        up.expect(r"(shout|whisper) ready http://127\.0\.0\.1:\d+/\n")
        processes = place.processes()
        assert processes.keys() == {"shout", "whisper"}
        assert place.call("shout", "Hi") == "HI"
        assert place.call("whisper", "Hi") == "hi"
        up.interrupt()
        assert up.wait() == 0
    for row in processes.values():
        await_end(row["pid"])
    assert not (place.folder / ".codin" / "up.json").exists()


def test_in_the_background(place: Place) -> None:
    place.agent("shout")
    done = run("up", "-d", cwd=place.folder)
    assert done.returncode == 0, done.stderr
    assert "shout ready http://127.0.0.1:" in done.stdout
    assert done.stderr.splitlines()[-1] == "codin ps shows it, codin down ends it"
    head, *rows = run("ps", cwd=place.folder).stdout.splitlines()
    assert head.split() == ["agent", "state", "for", "starts", "process", "sandbox", "where"]
    assert ["shout", "ready"] in [row.split()[:2] for row in rows]
    assert place.call("shout", "Hi") == "HI"
    state = place.folder / ".codin"
    for path in (state / "up.json", state / "up.log", state / "logs" / "shout.log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (state / ".gitignore").read_text() == "*\n"
    pid = place.processes()["shout"]["pid"]
    done = run("down", cwd=place.folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{place.folder} is down\n")
    await_end(pid)
    assert run("ps", cwd=place.folder).stderr == f"nothing is up in {place.folder}\n"
    assert json.loads(run("ps", "--json", cwd=place.folder).stdout)["up"] is False


def test_a_name_that_is_not_the_folder_s_is_told(place: Place) -> None:
    place.agent("loud")  # its function is called shout
    place.agent("shout", SHOUT, "replicas = 2")
    done = run("up", "-d", cwd=place.folder)
    assert re.search(r"^loud ready http://127\.0\.0\.1:\d+/, is called 'shout'$", done.stdout, re.MULTILINE), done
    told = [line for line in run("ps", cwd=place.folder).stdout.splitlines() if "is called" in line]
    assert told == ["loud: is called 'shout'"]
    processes = place.processes()
    assert {name: row["called"] for name, row in processes.items()} == {name: ["shout"] for name in processes}
    unknown = run("call", "loud", "Hi", cwd=place.folder)
    assert unknown.returncode == 2
    assert "nobody is called 'loud' here, and the agent in agents/loud is called 'shout'" in unknown.stderr


def test_agents_of_one_name_are_not_guessed(place: Place) -> None:
    """They have the key of the workspace, all of them, as replicas of one agent have."""
    place.agent("shout", SHOUT, "replicas = 2")
    place.up()
    assert run("call", "shout", "Hi", cwd=place.folder).stdout == "HI\n"
    place.agent("loud")
    run("down", cwd=place.folder)
    places = {row["url"].rstrip("/"): name.partition(".")[0] for name, row in place.up().items()}
    unclear = run("call", "shout", "Hi", cwd=place.folder)
    assert unclear.returncode == 2
    assert "3 agents are called 'shout': " in unclear.stderr
    assert all(f"{url} (agents/{folder})" in unclear.stderr for url, folder in places.items())


def test_a_second_one_is_refused(place: Place) -> None:
    place.agent("shout")
    place.up()
    for options in ([], ["-d"]):
        done = run("up", *options, cwd=place.folder)
        assert done.returncode == 2
        supervisor = place.written()["supervisor"]
        assert done.stderr == (
            f"error: {place.folder} is up already (process {supervisor}). Hint: codin ps shows it, codin down ends it\n"
        )
    assert place.processes()["shout"]["state"] == "ready"


def test_who_dies_is_started_again_where_it_was(place: Place) -> None:
    place.agent("shout")
    before = place.up()["shout"]
    os.kill(before["pid"], signal.SIGKILL)
    after = place.await_process("shout", lambda row: row["restarts"] == 1 and row["state"] == "ready")
    assert after["url"] == before["url"]
    assert after["pid"] != before["pid"]
    assert place.call("shout", "Hi") == "HI"
    assert "-- ended by SIGKILL; starts again in 0." in place.log("shout")


def test_who_ends_again_and_again_is_left_alone(place: Place) -> None:
    place.agent("shout")
    place.agent("broken", BROKEN)
    done = run("up", "-d", cwd=place.folder)
    assert done.returncode == 1
    assert "broken crashed 5 times in a row; ended with exit code 2: error: " in done.stdout
    assert "not everything is up" in done.stderr
    assert "RuntimeError: no luck" in run("ps", cwd=place.folder).stdout
    row = place.processes()["broken"]
    assert (row["state"], row["starts"], row["restarts"], row["pid"]) == ("crashed", 5, 4, None)
    assert place.call("shout", "Hi") == "HI"


def test_a_supervisor_that_is_killed_leaves_nobody_behind(place: Place) -> None:
    place.agent("shout")
    pid = place.up()["shout"]["pid"]
    supervisor = place.written()["supervisor"]
    os.kill(supervisor, signal.SIGKILL)
    await_end(pid)
    said = run("ps", cwd=place.folder).stderr
    assert said == f"process {supervisor} is gone, and its agents with it; codin down clears what it left\n"
    done = run("down", cwd=place.folder)
    assert done.returncode == 0
    assert "its record is cleared" in done.stderr
    assert place.up()["shout"]["state"] == "ready"


def test_a_second_ctrl_c_does_not_wait(place: Place) -> None:
    place.agent(
        "stubborn",
        "import asyncio, contextlib\n"
        "async def stubborn(text: str) -> str:\n"
        "    print('working')\n"
        "    while True:\n"
        "        with contextlib.suppress(asyncio.CancelledError):\n"
        "            await asyncio.Event().wait()\n",
    )
    with Running("up", cwd=place.folder) as up:
        url = up.serving(r"stubborn ready (http://\S+)\n")
        with Running("call", url, "go", "--retry", "0"), Running("logs", "-f", cwd=place.folder) as logs:
            logs.expect("working")
            up.interrupt()
            up.expect("Ctrl-C again does not wait for running tasks\n")
            up.interrupt()
            assert up.wait() == 0
        assert "ended" not in up.err


def test_on_a_terminal_it_is_one_table(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.agent("shout")
    place.agent("absent", manifest='python = "gone/bin/python"')
    monkeypatch.chdir(place.folder)
    with Terminal("up") as terminal:
        terminal.expect("absent    refused")
        terminal.expect("shout     ready")
        terminal.expect("http://127.0.0.1:")
        terminal.expect("absent: --python ")
        terminal.expect("does not exist")
        terminal.expect("Ctrl-C ends all")
        terminal.type("\x03")
        terminal.expect("ending")
        assert terminal.wait() == 0


def test_a_port_that_is_given(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        place.agent("shout", manifest=f"port = {port}")
        row = place.up()["shout"]
        assert (row["state"], row["words"]) == ("refused", f"port {port} of 127.0.0.1 is taken by somebody else")
        assert (row["starts"], row["restarts"]) == (0, 0)
    run("down", cwd=place.folder)
    row = place.up()["shout"]
    assert (row["state"], row["url"]) == ("ready", f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("signed", [False, True])
def test_the_agents_are_in_the_registry_of_the_workspace(place: Place, signed: bool) -> None:
    place.agent("shout")
    place.agent("whisper", WHISPER)
    place.up(*(["--no-keys"] if not signed else []))
    registry = place.written()["registry"]
    for name in ("shout", "whisper"):  # an agent joins once it is ready, and that may be a moment later
        entry = _found(registry, name, place.folder)
        assert (entry["health"], entry["verified"]) == ("healthy", signed)


def _made(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it says about a key."""
    return [line for line in done.stderr.splitlines() if "key" in line]


def test_the_first_time_it_makes_a_key(place: Place) -> None:
    place.agent("tell", TELL_CALLER)
    ring = Path.home() / ".codin" / "keys"
    done = run("up", "-d", cwd=place.folder)
    assert done.returncode == 0, done.stderr
    assert _made(done) == [f"made a key in {ring}, which signs cards and calls from now on; --no-keys goes without"]
    kid = KeyRing.open(ring).active.kid
    url = place.processes()["tell"]["url"]
    assert run("card", "verify", url, cwd=place.folder).stdout == f"signed by {kid} (ES256)\n"
    assert place.call("tell", "?") == f"cli@{kid}"
    run("down", cwd=place.folder)
    assert _made(run("up", "-d", cwd=place.folder)) == []
    assert KeyRing.open(ring).active.kid == kid


def test_agents_of_a_workspace_know_each_other(place: Place) -> None:
    place.agent("tell", TELL_CALLER, 'callers = "known"')
    place.agent("ask", ASK)
    place.up()
    _found(place.written()["registry"], "tell", place.folder)
    assert place.call("ask", "?") == f"ask@{KeyRing.open(Path.home() / '.codin' / 'keys').active.kid}"


def test_an_agent_of_a_workspace_uses_the_tools_of_another(place: Place) -> None:
    """As docs/tools.md says it."""
    pages = {block.said.get("title"): block.text for block in blocks_of(ROOT / "docs" / "tools.md")}
    place.agent("store", pages["agents/store/agent.py"], 'target = "agent.py:store"\ncallers = "known"')
    place.agent("shop", pages["agents/shop/agent.py"])
    place.up()
    _found(place.written()["registry"], "store", place.folder)
    assert place.call("shop", "tea") == "3 of tea are left"


def test_keys_may_change_while_it_runs(place: Place) -> None:
    folder = place.agent("tell", TELL_CALLER, 'callers = "known"\naccess = "access.toml"')
    (folder / "access.toml").write_text('[agents.tell]\nscopes = ["read"]\n[grants]\n"agent:ask" = ["read"]\n')
    place.agent("ask", ASK)
    place.up()
    registry = place.written()["registry"]
    ring = KeyRing.open(Path.home() / ".codin" / "keys")
    _found(registry, "tell", place.folder)
    assert place.call("ask", "?") == f"ask@{ring.active.kid}"
    for overlap in (None, "0", "7"):
        old = ring.active.kid
        if overlap is not None:
            assert run("keys", "rotate", "--overlap", overlap).returncode == 0
        if overlap != "0":
            assert run("keys", "revoke", old, "--yes").returncode == 0
        assert ring.active.kid != old
        assert place.call("ask", "?") == f"ask@{ring.active.kid}"
        for name in ("ask", "tell"):
            _await_key(registry, name, ring.active.kid, place.folder)
    assert "is not in the registry" not in place.log("ask") + place.log("tell")


def _await_key(registry: str, name: str, kid: str, folder: Path) -> None:
    """Wait until the registry has an agent by this key, and by no other."""
    deadline = monotonic() + 10  # less than the time between two heartbeats
    while [json.loads(line)["identity"] for line in _lines(registry, name, folder)] != [f"{name}@{kid}"]:
        assert monotonic() < deadline, f"{name} did not join with another key"


@pytest.mark.parametrize("named", [False, True], ids=["in the workspace", "by CODIN_KEYS"])
def test_the_key_is_made_where_codin_keys_new_would(place: Place, named: bool) -> None:
    place.agent("shout")
    (place.folder / ".codin").mkdir()
    ring = place.folder / ("team" if named else ".codin") / "keys"
    place.up(env={"CODIN_KEYS": str(ring)} if named else None)
    assert KeyRing.open(ring).path == ring
    assert not (Path.home() / ".codin").exists()


def test_without_keys_nothing_is_made_or_signed(place: Place) -> None:
    place.agent("tell", TELL_CALLER)
    done = run("up", "-d", "--no-keys", cwd=place.folder)
    assert (done.returncode, _made(done)) == (0, [])
    assert not (Path.home() / ".codin").exists()
    assert not (place.folder / ".codin" / "keys").exists()
    run("down", cwd=place.folder)
    assert run("keys", "new").returncode == 0
    assert run("up", "-d", "--no-keys", cwd=place.folder).returncode == 0
    card = json.loads(run("card", place.processes()["tell"]["url"], "--json").stdout)
    assert "signatures" not in card
    assert place.call("tell", "?") == "anonymous"


def test_a_key_that_cannot_be_made_is_said(place: Place) -> None:
    place.agent("shout")
    (place.folder / "file").write_text("")
    done = run("up", cwd=place.folder, env={"CODIN_KEYS": str(place.folder / "file" / "keys")})
    assert done.returncode == 2
    assert done.stderr.endswith("Hint: CODIN_KEYS names another place; --no-keys goes on without a key\n")


def test_a_registry_that_is_given_is_the_one(place: Place) -> None:
    place.agent("tell", "import os\ndef tell(text: str) -> str:\n    return os.environ['CODIN_REGISTRY']\n")
    place.up("--registry", "http://127.0.0.1:1")
    assert [row["name"] for row in place.written()["processes"]] == ["tell"]
    assert place.call("tell", "?") == "http://127.0.0.1:1"


def test_replicas_are_processes_of_their_own(place: Place) -> None:
    code = "import os, sys\ndef who(text: str) -> str:\n    return f'{sys.argv[3]} {os.getcwd()}'\n"
    place.agent("who", code, 'replicas = 2\nstore = "sqlite:///tasks-{replica}.db"')
    processes = place.up()
    assert processes.keys() == {"who.1", "who.2"}
    for name, row in processes.items():
        port = str(row["url"]).rpartition(":")[2].strip("/")
        assert place.call(name, "?") == f"--port={port} {place.folder}"
    assert {path.name for path in (place.folder / "agents" / "who").glob("*.db")} == {"tasks-1.db", "tasks-2.db"}


def test_what_cannot_be_a_workspace(tmp_path: Path) -> None:
    done = run("up", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"error: '{tmp_path}' is no workspace: it has no folder 'agents'. Hint: codin new agent hello makes one\n"
    )


def test_an_empty_workspace_says_so(place: Place) -> None:
    done = run("up", str(place.folder))
    assert done.returncode == 2
    assert "has no agent" in done.stderr


def _found(registry: str, name: str, folder: Path) -> dict[str, Any]:
    deadline = monotonic() + PATIENCE
    while not (said := _lines(registry, name, folder)):
        assert monotonic() < deadline, f"{name} did not join"
    return json.loads(said[0])


def _lines(registry: str, name: str, folder: Path) -> list[str]:
    return run("find", "--registry", registry, "--name", name, "--json", cwd=folder).stdout.splitlines()
