"""How an answer is asked for, in words."""

from __future__ import annotations

from typing import Any

import pytest

from codin import a2a
from codin.agent.adapters._approvals import DECISION
from codin.cli._questions import questions_of

DECIDES = '"yes" or "no", with a reason if there is one: "no, because …"'
CONFIRMS = {"type": "object", "properties": {"confirmed": {"type": "boolean"}, "payload": {}}}
SIZE = {"type": "object", "properties": {"size": {"type": "string"}}, "required": ["size"]}
ADULT = {"type": "object", "properties": {"adult": {"type": "boolean"}}}


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        (DECISION, DECIDES),
        (CONFIRMS, DECIDES),
        (SIZE, "an answer in plain text: size"),
        (ADULT, "an answer in JSON, with adult (boolean, optional)"),
    ],
)
def test_what_plain_text_can_say_is_not_asked_for_in_json(schema: Any, form: str) -> None:
    asked = a2a.Part(data={"questions": [{"id": "q", "question": "Well?", "value": None, "schema": schema}]})
    message = a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[a2a.Part(text="Well?"), asked])
    assert questions_of(message)[0].form == [form]


def test_what_a_remote_agent_sent_with_its_question_is_shown() -> None:
    asked = a2a.Part(data={"questions": [{"id": "q", "question": "Well?", "value": None, "data": {"sum": 30}}]})
    message = a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[a2a.Part(text="Well?"), asked])
    assert questions_of(message)[0].form == ["sum: 30"]


def test_digits_are_the_text_of_a_field_that_takes_text() -> None:
    asked = a2a.Part(data={"schema": SIZE})
    message = a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[a2a.Part(text="Well?"), asked])
    assert questions_of(message)[0].read("42") == "42"
