"""Agents in a sandbox: what they may, what becomes of them, and where there is none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.command import PATIENCE, Running, run
from tests.cli.workspace.conftest import SHOUT, Place, await_end

needs_bwrap = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="needs Linux, and bubblewrap"
)
TRY = """
import os
from codin.agent import agent

@agent
def attempt(text: str) -> str:
    word, _, rest = text.partition(" ")
    try:
        if word == "read":
            return open(rest).read()
        if word == "write":
            open(rest, "a").write("written")
            return "done"
        return repr(os.environ.get(rest))
    except OSError as error:
        return type(error).__name__
"""
BROKEN = "raise RuntimeError('no luck')"


@pytest.fixture
def at_home() -> Path:
    """A file in the home of the one who runs the agents."""
    path = Path.home() / "diary.txt"
    path.write_text("private")
    return path


@needs_bwrap
def test_an_agent_sees_its_workspace_and_writes_its_folder(place: Place, at_home: Path) -> None:
    folder = place.agent("attempt", TRY)
    (place.folder / "prices.txt").write_text("salt 3")
    row = place.up()["attempt"]
    assert (row["state"], row["words"], row["sandbox"]) == ("ready", "", "local")
    assert place.call("attempt", "read prices.txt") == "salt 3"  # from the workspace, where it works
    assert place.call("attempt", f"read {at_home}") == "FileNotFoundError"
    assert place.call("attempt", f"write {folder}/kept.txt") == "done"
    assert (folder / "kept.txt").read_text() == "written"
    refused = {"OSError", "PermissionError"}
    assert place.call("attempt", "write prices.txt") in refused
    assert place.call("attempt", "write /etc/passwd") in refused
    assert place.call("attempt", "write /proc/sys/kernel/core_pattern") in refused | {"FileNotFoundError"}
    assert place.call("attempt", "write /tmp/own") == "done"
    assert not Path("/tmp/own").exists()
    assert place.call("attempt", f"write {Path.home()}/cache") == "done"  # a home of its own
    assert not (Path.home() / "cache").exists()


def test_off_is_plain(place: Place, at_home: Path) -> None:
    place.agent("attempt", TRY, 'sandbox = "off"')
    row = place.up()["attempt"]
    assert (row["state"], row["words"], row["sandbox"]) == ("ready", "", None)
    assert place.call("attempt", f"read {at_home}") == "private"
    assert place.call("attempt", f"write {at_home}") == "done"
    assert "sandbox" not in place.log("attempt")


@needs_bwrap
def test_what_the_manifest_adds(place: Place, tmp_path: Path) -> None:
    for name in ("given", "taken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    manifest = (
        'env = {TONE = "low"}\n[sandbox]\npolicy = "required"\n'
        f'mounts = ["../../../given", "{tmp_path}/taken:rw"]\nvariables = ["MINE"]\nmemory = 512\nprocesses = 100\n'
    )
    place.agent("attempt", TRY, manifest)
    place.agent("open", TRY)
    row = place.up(env={"MINE": "1", "OTHER": "2"})["attempt"]
    if row["state"] == "refused" and os.geteuid() != 0:
        pytest.skip(row["words"])  # nobody has delegated control groups
    assert row["sandbox"] == "local", row
    assert place.call("attempt", f"read {tmp_path}/given/file") == "given"
    assert place.call("attempt", f"write {tmp_path}/given/file") in {"OSError", "PermissionError"}
    assert place.call("attempt", f"write {tmp_path}/taken/file") == "done"
    assert (tmp_path / "taken" / "file").read_text() == "takenwritten"
    assert [place.call("attempt", f"env {name}") for name in ("TONE", "MINE", "OTHER")] == ["'low'", "'1'", "None"]
    assert [place.call("open", f"env {name}") for name in ("TONE", "MINE", "OTHER")] == ["None", "'1'", "'2'"]


def test_a_mount_that_is_not_there(place: Place) -> None:
    place.agent("attempt", TRY, 'sandbox.mounts = ["gone"]')
    row = place.up()["attempt"]
    assert row["state"] == "refused"
    assert "sandbox.mounts names what is not there: " in row["words"]


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has no bubblewrap."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin")}


def test_required_without_bubblewrap_is_refused(place: Place, bare: dict[str, str]) -> None:
    place.agent("attempt", TRY, 'sandbox = "required"')
    place.agent("free", TRY, 'sandbox = "off"')
    rows = place.up(env=bare)
    assert rows["free"]["state"] == "ready"
    assert rows["attempt"]["state"] == "refused"
    assert rows["attempt"]["words"].startswith("it runs in a sandbox only: a local sandbox needs ")
    if sys.platform == "linux":
        assert "apt install bubblewrap" in rows["attempt"]["words"]
    assert "wasm" not in rows["attempt"]["words"]  # which holds no agent


def test_preferred_without_bubblewrap_says_so(place: Place, at_home: Path, bare: dict[str, str]) -> None:
    place.agent("attempt", TRY)
    done = run("up", str(place.folder), "-d", env=bare)
    assert done.returncode == 0, done.stderr
    [said] = [line for line in done.stdout.splitlines() if "in no sandbox" in line]
    assert said.startswith("attempt starting in no sandbox: a local sandbox needs ")
    assert said.split(": ", 1)[1] in place.log("attempt")
    row = place.processes()["attempt"]
    assert (row["state"], row["sandbox"]) == ("ready", None)
    assert row["words"].startswith("in no sandbox: ")
    assert "wasm" not in row["words"]
    assert place.call("attempt", f"read {at_home}") == "private"
    shown = run("ps", cwd=place.folder).stdout.splitlines()
    assert [row.split()[5] for row in shown[1:3]] == ["-", "-"]


@needs_bwrap
def test_ps_shows_what_holds_it(place: Place) -> None:
    place.agent("attempt", TRY)
    place.agent("free", TRY, 'sandbox = "off"')
    place.up()
    shown = {row.split()[0]: row.split()[5] for row in run("ps", cwd=place.folder).stdout.splitlines()[1:4]}
    assert shown == {"registry": "-", "attempt": "local", "free": "-"}
    told = json.loads(run("ps", "--json", cwd=place.folder).stdout)["processes"]
    assert {row["name"]: row["sandbox"] for row in told} == {"registry": None, "attempt": "local", "free": None}


@needs_bwrap
def test_a_supervisor_that_is_killed_leaves_nothing_in_a_sandbox(place: Place) -> None:
    code = (
        "import subprocess\n"
        "subprocess.Popen(['sleep', '86399'], start_new_session=True)\n"  # what it has started goes with it
        "def attempt(text: str) -> str:\n    return text\n"
    )
    place.agent("attempt", code)
    pid = place.up()["attempt"]["pid"]
    supervisor = place.written()["supervisor"]
    within = _descendants(supervisor)
    assert pid in within
    assert any(_program(each) == "sleep" for each in within)
    os.kill(supervisor, signal.SIGKILL)
    for each in within:
        await_end(each)


@needs_bwrap
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_ends_is_started_again_with_its_store(place: Place, number: signal.Signals) -> None:
    folder = place.agent("shout", SHOUT, 'store = "sqlite:///tasks.db"')
    before = place.up()["shout"]
    assert before["sandbox"] == "local"
    assert run("call", before["url"], "Hi", "--json").returncode == 0
    found = json.loads(run("tasks", before["url"], "--json").stdout.splitlines()[0])
    os.kill(before["pid"], number)
    after = place.await_process("shout", lambda row: row["restarts"] == 1 and row["state"] == "ready")
    assert (after["url"], after["sandbox"]) == (before["url"], "local")
    assert after["pid"] != before["pid"]
    assert json.loads(run("tasks", after["url"], "--json").stdout.splitlines()[0])["id"] == found["id"]
    assert (folder / "tasks.db").exists()


@needs_bwrap
def test_who_cannot_start_says_why(place: Place) -> None:
    place.agent("broken", BROKEN)
    assert run("up", "-d", cwd=place.folder).returncode == 1
    row = place.processes()["broken"]
    assert row["state"] == "crashed"
    assert "ended with exit code 2: error: " in row["words"]
    assert "RuntimeError: no luck" in row["words"]


@needs_bwrap
def test_who_takes_too_much_memory_is_told_so(place: Place) -> None:
    place.agent("hungry", "bytearray(b'x') * (1 << 30)", 'sandbox = {policy = "required", memory = 200}')
    assert run("up", "-d", cwd=place.folder).returncode == 1
    row = place.processes()["hungry"]
    if row["state"] == "refused" and os.geteuid() != 0:
        pytest.skip(row["words"])  # nobody has delegated control groups
    assert row["state"] == "crashed"
    told = "took more than its 200 MiB of memory (raise memory in [sandbox] of its agent.toml)"
    assert row["words"].startswith(f"5 times in a row; {told}")
    assert f"-- {told}; starts again in 0." in place.log("hungry")


@needs_bwrap
def test_a_running_task_is_finished_first(place: Place) -> None:
    code = (
        "import anyio\n"
        "async def slow(text: str) -> str:\n"
        "    print('begun', flush=True)\n"
        "    await anyio.sleep(1)\n"
        "    return 'finished'\n"
    )
    place.agent("slow", code)
    url = place.up()["slow"]["url"]
    with Running("call", url, "go", "--retry", "0") as call:
        deadline = monotonic() + PATIENCE
        with Running("logs", "-f", cwd=place.folder) as logs:
            logs.expect("begun")
        assert run("down", cwd=place.folder).returncode == 0
        assert call.wait() == 0
        assert call.out == "finished\n"
        assert monotonic() < deadline


@needs_bwrap
def test_a_file_that_changes_starts_it_again(place: Place) -> None:
    pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    folder = place.agent("shout")
    assert place.up("--reload")["shout"]["sandbox"] == "local"
    place.change(folder / "agent.py", SHOUT.replace("text.upper()", "text.upper() + '!'"))
    place.await_process("shout", lambda row: row["restarts"] == 1 and row["state"] == "ready")
    assert place.call("shout", "Hi") == "HI!"


@needs_bwrap
def test_a_store_beside_the_whole_home_is_no_reason_to_show_it(place: Place) -> None:
    place.agent("shout", SHOUT, f'sandbox = "required"\nstore = "sqlite:///{Path.home()}/tasks.db"')
    row = place.up()["shout"]
    assert row["state"] == "refused"
    assert f"its store is in {Path.home()}" in row["words"]


def _descendants(pid: int) -> list[int]:
    told = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in told.splitlines()[1:]]
    found = [pid]
    for parent in found:
        found += [child for child, above in rows if above == parent]
    return found[1:]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""
