"""Writes the opening of a brief out of its key sentences: a CrewAI crew, served unchanged.

The model is any that speaks the API of OpenAI: OPENAI_BASE_URL and OPENAI_API_KEY say where, OPENAI_MODEL which.
"""

from __future__ import annotations

import os

from crewai import LLM, Agent, Crew, Task

_model = LLM(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), provider="openai", temperature=0)

_editor = Agent(
    role="editor",
    goal="Say in two sentences what a text is about.",
    backstory="You have opened the brief of a newspaper for twenty years, and never with a word that was not true.",
    llm=_model,
    allow_delegation=False,
)

_opening = Task(
    name="opening",
    description=(
        "Write the opening of a brief of {title}: 2 sentences that say what it is about, in the words of the notes "
        "wherever you can. Add nothing that is not there.\n\n<document>\n{notes}\n</document>"
    ),
    expected_output="Two sentences of plain text, without a heading.",
    agent=_editor,
)

writer = Crew(name="writer", agents=[_editor], tasks=[_opening])
"""Opens a brief in two sentences."""
