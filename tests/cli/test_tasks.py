"""`codin tasks`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codin import a2a
from tests.cli.command import Running
from tests.cli.conftest import Done

Codin = Callable[..., Done]


ALIKE = """
import os
from codin.agent import agent

os.urandom = lambda size: b"".join(number.to_bytes(16, "big") for number in range(size // 16 + 1))[:size]

@agent
def shout(text: str) -> str:
    return text.upper()
"""


def task_of(done: Done) -> a2a.Task:
    """The task that a call without streaming printed."""
    task = a2a.SendMessageResponse.from_json(done.out).task
    assert task is not None
    return task


@pytest.fixture
def counted(server: str, codin: Codin) -> a2a.Task:
    """A task that has ended."""
    return task_of(codin("call", server, "count 2", "--json", "--no-stream"))


def test_a_program_gets_a_line_with_tabs_for_each_task(server: str, codin: Codin, counted: a2a.Task) -> None:
    done = codin("tasks", server, "--limit", "1")
    task_id, state, time, context_id = done.out.rstrip("\n").split("\t")
    assert (task_id, state, context_id) == (counted.id, "completed", counted.context_id)
    assert counted.status.timestamp is not None
    assert time == counted.status.timestamp.isoformat()
    assert codin("tasks", server, "list", "--limit", "1") == done


def test_lists_by_context_and_state(server: str, codin: Codin) -> None:
    asked = task_of(codin("call", server, "ask", "--json", "--no-stream"))
    context = ("--context", asked.context_id)
    found = codin("tasks", server, *context, "--state", "input-required", "--json")
    assert [a2a.Task.from_json(line).id for line in found.out.splitlines()] == [asked.id]
    assert codin("tasks", server, *context, "--state", "working") == (0, "", "no tasks\n")


def test_says_when_there_are_more(server: str, codin: Codin, counted: a2a.Task) -> None:
    codin("call", server, "more", "--context", counted.context_id)
    done = codin("tasks", server, "--limit", "1", "--context", counted.context_id)
    assert len(done.out.splitlines()) == 1
    assert done.err == "there are more than 1: --limit shows them\n"
    done = codin("tasks", server, "--limit", "2", "--context", counted.context_id)
    assert (len(done.out.splitlines()), done.err) == (2, "")


def test_get_shows_what_was_said_and_made(server: str, codin: Codin, counted: a2a.Task) -> None:
    done = codin("tasks", server, "get", counted.id)
    lines = done.out.splitlines()
    assert lines[0] == f"{counted.id}  completed"
    assert lines[3:5] == ["you", "  count 2"]
    assert lines[-1].rstrip() == "  0 1"
    document = a2a.Task.from_json(codin("tasks", server, "get", counted.id, "--json").out)
    assert document.artifacts == counted.artifacts


def test_get_and_tail_show_what_is_asked_as_the_call_did(server: str, codin: Codin) -> None:
    asked = task_of(codin("call", server, "approve", "--json", "--no-stream"))
    lines = codin("tasks", server, "get", asked.id).out.splitlines()
    assert lines[-5:] == ["agent", "  Approve it?", "  draft.to: Ann", "  draft.sum: 30", "  one of: yes, no"]
    assert lines == [line.rstrip() for line in lines]
    with Running("tasks", server, "tail", asked.id) as tail:
        found = tail.expect(r"status +input-required (.*)\n")
        assert found[1] == '"Approve it?" (draft.to: Ann) (draft.sum: 30) (one of: yes, no)'


def test_get_keeps_text_and_data_apart(server: str, codin: Codin) -> None:
    told = task_of(codin("call", server, "tell", "--data", '{"n": 1}', "--json", "--no-stream"))
    lines = codin("tasks", server, "get", told.id).out.splitlines()
    assert lines[3:6] == ["you", "  tell", '  {"n": 1}']


def test_an_id_may_be_cut_short(server: str, codin: Codin, counted: a2a.Task) -> None:
    assert codin("tasks", server, "get", counted.id[:12]).out.startswith(f"{counted.id}  completed\n")
    assert codin("tasks", server, "tail", counted.id[:12]).out == codin("tasks", server, "tail", counted.id).out
    assert codin("tasks", server, "get", counted.id[:3]).code == 5  # too short to mean one
    asked = task_of(codin("call", server, "ask", "--json", "--no-stream"))
    assert codin("tasks", server, "cancel", asked.id[:12]).out == f"{asked.id} canceled\n"


def test_a_short_id_of_two_tasks_is_refused(codin: Codin, tmp_path: Path) -> None:
    (tmp_path / "alike.py").write_text(ALIKE)
    with Running("serve", "alike.py", "--port", "0", cwd=tmp_path) as running:
        url = running.serving()
        ids = [task_of(codin("call", url, word, "--json", "--no-stream")).id for word in ("a", "b")]
        done = codin("tasks", url, "cancel", "0000")
        assert (done.code, done.out) == (2, "")
        assert "2 tasks begin with '0000'" in done.err
        assert codin("tasks", url, "get", ids[0]).out.startswith(ids[0])


def test_options_and_the_command_stand_anywhere(server: str, codin: Codin, counted: a2a.Task, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("t0ken")
    wanted = codin("tasks", server, "get", counted.id)
    for words in (
        ["--token-file", tokens, server, "get", counted.id],
        ["get", server, counted.id, "--token-file", tokens],
        ["--timeout=9", server, "--token-file", tokens, "get", "--token-file", tokens, counted.id],
        [server, "get", "--", counted.id],
    ):
        assert codin("tasks", *words) == wanted
    assert codin("tasks", "--json", server, "--limit", "1") == codin("tasks", server, "list", "--limit", "1", "--json")
    wrong = codin("tasks", server, "show", counted.id)
    assert (wrong.code, wrong.out) == (2, "")
    assert "there is no command 'show'; there are list, get, cancel, tail" in wrong.err


@pytest.mark.parametrize(
    "words", [["get", "--help"], ["http://x", "get", "-h"], ["--help", "get"], ["get", "x", "y", "-h"]]
)
def test_the_help_of_a_command_is_reached(codin: Codin, words: list[str]) -> None:
    assert codin("tasks", *words).out.startswith("Usage: codin tasks URL get ID [OPTIONS]\n")


def test_the_help_shows_the_options_of_all_commands(codin: Codin) -> None:
    for words in ([], ["http://x"]):
        page = codin("tasks", *words, "--help").out
        assert page.startswith("Usage: codin tasks ")
        for option in ("--state", "--from", "--token-file", "--json", "--limit", "--retry"):
            assert page.count(f"\n  {option} ") == 1


@pytest.mark.parametrize("name", ["CANCELED", "Canceled", "canceled"])
def test_a_state_is_written_in_any_case(server: str, codin: Codin, name: str) -> None:
    asked = task_of(codin("call", server, "ask", "--json", "--no-stream"))
    codin("tasks", server, "cancel", asked.id)
    assert codin("tasks", server, "--state", name, "--limit", "1").out.startswith(asked.id)


def test_cancel(server: str, codin: Codin, counted: a2a.Task) -> None:
    asked = task_of(codin("call", server, "ask", "--json", "--no-stream"))
    assert codin("tasks", server, "cancel", asked.id) == (0, f"{asked.id} canceled\n", "")
    ended = codin("tasks", server, "cancel", counted.id)
    assert (ended.code, ended.out) == (5, "")
    assert "has ended" in ended.err


def test_tail_prints_every_event_with_its_number(server: str, codin: Codin, counted: a2a.Task) -> None:
    done = codin("tasks", server, "tail", counted.id)
    lines = [line.split(None, 1) for line in done.out.splitlines()]
    assert [number for number, _ in lines] == ["2", "3", "4", "5", "6"]
    told = [" ".join(words.split()) for _, words in lines]
    assert told[0] == "status working"
    assert told[1].endswith('"0 "')
    assert told[2].endswith('+ "1 "')
    assert told[3].endswith('"0 1 " (last)')
    assert told[4] == "status completed"


def test_tail_begins_at_a_number(server: str, codin: Codin, counted: a2a.Task) -> None:
    done = codin("tasks", server, "tail", counted.id, "--from", "5", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["number"] for event in events] == [5, 6]
    assert events[1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    beyond = codin("tasks", server, "tail", counted.id, "--from", "99")
    assert (beyond.code, beyond.out.split()[:3]) == (0, ["–", "task", "completed"])


def test_tail_follows_to_the_end_and_can_be_left(server: str, codin: Codin) -> None:
    asked = task_of(codin("call", server, "ask", "--json", "--no-stream"))
    with Running("tasks", server, "tail", asked.id) as left, Running("tasks", server, "tail", asked.id) as stays:
        left.expect("input-required")
        left.interrupt()
        assert left.wait() == 130
        how = left.err.split(": ", 1)[1].split()
        stays.expect("input-required")
        codin("call", server, "red", "--task", asked.id)
        assert stays.wait() == 0
        assert "completed" in stays.out
    rest = stays.out.splitlines()[-4:]
    assert codin(*how[1:]).out.splitlines() == rest


def test_an_unknown_task_is_one_line(server: str, codin: Codin) -> None:
    for action in ("get", "cancel", "tail"):
        done = codin("tasks", server, action, "nothing")
        assert (done.code, done.out) == (5, "")
        assert len(done.err.splitlines()) == 1
