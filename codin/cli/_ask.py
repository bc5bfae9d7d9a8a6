"""Asking the person at the terminal what an agent wants to know."""

from __future__ import annotations

import select
import sys
from collections.abc import Sequence

from codin import a2a
from codin.cli._questions import keyed_answers, preface, questions_of, told
from codin.cli._terminal import errors, say

__all__ = ["ask_person", "tell_question"]

_LOOK = 0.2  # seconds


def tell_question(message: a2a.Message | None) -> None:
    """Print what is asked."""
    for words, lines in told(message):
        _tell(words, lines)


def ask_person(message: a2a.Message | None) -> str | a2a.Part | None:
    """Ask, one question after the other. None when the person answers another time.

    Raises:
        KeyboardInterrupt: with Ctrl-C.
    """
    questions = questions_of(message)
    if len(questions) == 1:
        tell_question(message)
        return _read_line()
    say(preface(message, questions) or f"{len(questions)} questions:", "dim")
    given: list[object] = []
    for question in questions:
        _tell(question.text or question.id, question.form)
        typed = _read_line()
        if typed is None:
            return None
        given.append(question.read(typed))
    return keyed_answers(questions, given)


def _tell(words: str, lines: Sequence[str]) -> None:
    if words:
        say(words, "bold")
    for line in lines:
        say(line, "dim")


def _read_line() -> str | None:
    while True:
        errors().print("> ", end="", style="bold")
        # A signal that comes just before a blocking read begins does not end it; looking now and then does.
        while not select.select([sys.stdin], [], [], _LOOK)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            errors().print()
            return None
        if line.strip():
            return line.rstrip("\n")
        say("an answer, please; Ctrl-D answers later, Ctrl-C cancels the task", "dim")
