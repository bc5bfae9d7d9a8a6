"""What the local model says to a CrewAI agent."""

from __future__ import annotations

import json
import re

from codin.testing import Body, ModelAnswer

__all__ = ["by_task", "last_text"]

_TASK = re.compile(r"Current Task: (.*?)\n\nThis is the expected criteria", re.DOTALL)
_ALONE = re.compile(r"Current Task: (.*?)\s*(?:Provide your complete response:)?\s*", re.DOTALL)
_FEEDBACK = re.compile(r"User feedback: (.*)\nInstructions", re.DOTALL)


def by_task(body: Body) -> ModelAnswer:
    """What `codin.testing.ModelServer` answers by itself, but to the task that CrewAI has built its prompt around."""
    text = last_text(body)
    if body["messages"][-1]["role"] == "tool":
        return ModelAnswer(f"The tool said {text}")
    if call := re.fullmatch(r"call (\w+) (\{.*\})", text):
        return ModelAnswer(calls=[(call[1], json.loads(call[2]))])
    if text.startswith("hang"):
        return ModelAnswer("Let me think", ends=False)
    return ModelAnswer(f"You said {text}")


def last_text(body: Body) -> str:
    """The newest thing the model is told, without CrewAI's prompt."""
    text = str(body["messages"][-1]["content"])
    found = _TASK.search(text) or _FEEDBACK.search(text) or _ALONE.fullmatch(text.strip())
    return found[1].strip() if found else text
