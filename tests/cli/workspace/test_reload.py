"""`codin up --reload`: what changes is started again, and nothing else."""

from __future__ import annotations

import pytest

from tests.cli.workspace.conftest import SHOUT, Place, await_end

pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")


def test_only_who_has_changed_is_started_again(place: Place) -> None:
    folder = place.agent("shout")
    place.agent("other")
    before = place.up("--reload")
    place.change(folder / "agent.py", SHOUT.replace("text.upper()", "text.upper() + '!'"))
    after = place.await_process("shout", lambda row: row["restarts"] == 1 and row["state"] == "ready")
    assert after["url"] == before["shout"]["url"]
    assert place.call("shout", "Hi") == "HI!"
    assert place.processes()["other"] == before["other"]


def test_who_was_left_alone_is_tried_again(place: Place) -> None:
    folder = place.agent("shout", manifest='target = "gone.py"\npython = "gone/bin/python"')
    assert place.up("--reload")["shout"]["state"] == "refused"
    (folder / "agent.toml").write_text("")
    place.await_process("shout", lambda row: row["state"] == "ready")
    assert place.call("shout", "Hi") == "HI"


def test_agents_may_come_and_go_and_a_tool_is_everybodys(place: Place) -> None:
    place.agent("shout")
    tools = place.folder / "tools"
    tools.mkdir()
    before = place.up("--reload")["shout"]
    folder = place.agent("late", manifest="replicas = 2")
    for name in ("late.1", "late.2"):
        pid = place.await_process(name, lambda row: row["state"] == "ready")["pid"]
    (tools / "count.py").write_text("")
    assert place.await_process("shout", lambda row: row["restarts"] == 1)["url"] == before["url"]
    pid = place.await_process("late.2", lambda row: row["restarts"] >= 1 and row["state"] == "ready")["pid"]
    folder.rename(place.folder.with_name("gone"))  # all of it at once
    await_end(pid)
    assert place.processes().keys() == {"shout"}
