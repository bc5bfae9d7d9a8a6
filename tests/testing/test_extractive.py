"""The extractive model: what it takes for the text, what for the question, and what it quotes."""

from __future__ import annotations

import pytest

from codin.testing import extractive

TIDES = """\
# Tides

The tide is the rise and fall of the sea. The moon pulls the water, and so does the sun. When both pull in one line the
tide is highest, which Dr. Darwin called a spring tide, e.g. at new moon.

- A neap tide comes between two spring tides.
- It rises least of all.

Bread has nothing to do with any of this. The sea falls again after the tide has turned.
"""

SENTENCES = [
    "The tide is the rise and fall of the sea.",
    "The moon pulls the water, and so does the sun.",
    "When both pull in one line the tide is highest, which Dr. Darwin called a spring tide, e.g. at new moon.",
    "A neap tide comes between two spring tides.",
    "It rises least of all.",
    "Bread has nothing to do with any of this.",
    "The sea falls again after the tide has turned.",
]


def answered(*messages: tuple[str, str]) -> str:
    return extractive({"messages": [{"role": role, "content": text} for role, text in messages]}).text


def quoted(said: str) -> list[str]:
    """The sentences of the text that an answer has, in the order of the text."""
    return [sentence for sentence in SENTENCES if sentence in said]


@pytest.mark.parametrize(
    ("ask", "count"),
    [
        ("Summarise this in two sentences.", 2),
        ("Give me the 4 most important sentences:", 4),
        ("In a single sentence, please:", 1),
        ("What is a neap tide?", 1),
        ("Summarise this text.", 3),
        ("Summarise it in 99 sentences.", 7),
    ],
)
def test_it_quotes_as_many_sentences_as_are_asked_for_in_the_order_of_the_text(ask: str, count: int) -> None:
    said = answered(("user", f"{ask}\n\n{TIDES}"))
    sentences = quoted(said)
    assert len(sentences) == count
    assert said == " ".join(sentences)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is a neap tide?", "A neap tide comes between two spring tides."),
        ("What pulls the water?", "The moon pulls the water, and so does the sun."),
        ("Is there anything about bread?", "Bread has nothing to do with any of this."),
    ],
)
def test_what_is_asked_for_decides(question: str, answer: str) -> None:
    assert answered(("user", f"{TIDES}\n\n{question}")) == answer
    assert answered(("user", TIDES), ("assistant", "Yes?"), ("user", question)) == answer
    assert answered(("system", "You are a sailor."), ("user", question), ("tool", TIDES)) == answer


def test_the_instructions_of_an_agent_may_name_the_number() -> None:
    said = answered(("system", "Answer with 2 sentences."), ("user", TIDES))
    assert len(quoted(said)) == 2


def test_a_list_is_a_list() -> None:
    lines = answered(("user", f"List two points:\n\n{TIDES}")).splitlines()
    assert [line[:2] for line in lines] == ["- ", "- "]


def test_an_instruction_may_stand_on_the_line_of_its_text() -> None:
    assert answered(("user", "Summarise in one sentence: The sea is deep. The sea is wide and deep.")).startswith("The")


def test_without_a_text_it_says_so() -> None:
    assert answered(("user", "Hello!")) == "There is no text here to answer from."


def test_what_a_framework_writes_around_a_task_is_no_text() -> None:
    prompt = (
        f"\nCurrent Task: Summarise the document in two sentences.\n\n{TIDES}\n\n"
        "This is the expected criteria for your final answer: two sentences\nyou MUST return the actual content.\n\n"
        "Begin! This is VERY important to you, give your best Final Answer, your job depends on it!\n\nThought:"
    )
    said = answered(("user", prompt))
    assert said == " ".join(quoted(said))
