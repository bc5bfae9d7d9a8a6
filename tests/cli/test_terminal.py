"""Commands with a person at a terminal."""

from __future__ import annotations

import re

import pytest

from tests.cli.command import Terminal


def test_the_person_is_asked_and_the_task_goes_on(server: str) -> None:
    with Terminal("call", server, "ask") as terminal:
        terminal.expect("Which colour?\n> ")
        terminal.type("\n")
        terminal.expect("an answer, please")
        terminal.expect("> ")
        terminal.type("red\n")
        terminal.expect("You chose red.\n")
        assert terminal.wait() == 0


def test_the_person_is_asked_until_the_answer_fits(server: str) -> None:
    with Terminal("call", server, "pick", "--no-stream") as terminal:
        terminal.expect("How long?\none of: short, long\n> ")
        terminal.type("huge\n")
        terminal.expect("That does not fit")
        terminal.expect("> ")
        terminal.type("long\n")
        terminal.expect("You chose long.\n")
        assert terminal.wait() == 0


def test_several_questions_are_asked_one_after_the_other(server: str) -> None:
    with Terminal("call", server, "order") as terminal:
        terminal.expect("2 questions:\nWhich colour?\none of: red, blue\n> ")
        terminal.type("red\n")
        terminal.expect("How many?\nstock: 7\nan answer of type integer\n> ")
        terminal.type("3\n")
        terminal.expect("data={'q-1': 'red', 'q-2': 3}\n")
        assert terminal.wait() == 0


def test_the_ids_are_below_the_answer(server: str) -> None:
    with Terminal("call", server, "hi") as terminal:
        assert terminal.wait() == 0
        answer, ids = terminal.screen.splitlines()
        assert answer == "HI"
        assert re.fullmatch(r"task \w+; to go on: --continue, or --context \w+", ids)
    with Terminal("call", server, "there", "--continue", "--json", "--no-stream") as terminal:
        assert terminal.wait() == 0
        assert ids.split()[-1] in terminal.screen
        assert len(terminal.screen.splitlines()) == 1


def test_ctrl_d_at_a_question_leaves_it_open(server: str) -> None:
    with Terminal("call", server, "ask") as terminal:
        terminal.expect("> ")
        terminal.type("\x04")
        terminal.expect("waits for an answer\n  codin call ")
        assert terminal.wait() == 3


def test_ctrl_c_at_a_question_cancels_the_task(server: str) -> None:
    with Terminal("call", server, "ask") as terminal:
        terminal.expect("> ")
        terminal.type("\x03")
        terminal.expect("the task is canceled")
        assert terminal.wait() == 1


def test_ctrl_c_in_a_stream_cancels_the_task(server: str) -> None:
    with Terminal("call", server, "hang") as terminal:
        terminal.expect("waiting")
        terminal.type("\x03")
        terminal.expect("\ncanceling the task; Ctrl-C again leaves at once\nthe task is canceled\n")
        assert terminal.wait() == 1


def test_json_asks_nobody(server: str) -> None:
    with Terminal("call", server, "ask", "--json") as terminal:
        terminal.expect("input-required: task ")
        assert terminal.wait() == 3


def test_a_terminal_gets_no_orders_from_a_peer(server: str) -> None:
    with Terminal("call", server, "escape") as terminal:
        assert terminal.wait() == 0
        assert terminal.screen.startswith("␛[31mred␛[0m\n")


@pytest.mark.parametrize("columns", [40, 60, 66, 100])
def test_on_a_narrow_terminal_the_last_words_give_way_first(server: str, columns: int) -> None:
    said = "tell " + "words " * 40
    with Terminal("call", server, said) as terminal:
        terminal.wait()
    with Terminal("tasks", server, "--limit", "1", columns=columns) as terminal:
        assert terminal.wait() == 0
        head, row, *_ = terminal.screen.splitlines()
        task_id, state, *rest = row.split()
        assert (len(task_id), state) == (32, "completed")
        assert head.split()[:2] == ["task", "state"]
        assert len(row) <= max(columns, 32 + 2 + len("completed"))
        assert (rest[-1:] == ["…"] or row.endswith("…")) == (columns > 60)


def test_the_list_of_tasks_shows_whole_ids(server: str) -> None:
    with Terminal("call", server, "hello") as terminal:
        terminal.wait()
    with Terminal("tasks", server, "--limit", "1") as terminal:
        assert terminal.wait() == 0
        head, row, *_ = terminal.screen.splitlines()
        assert head.split() == ["task", "state", "since", "last", "words"]
        task_id, state, *_, words = row.split()
        assert len(task_id) == 32
        assert (state, words) == ("completed", "HELLO")
