"""Says what a brief has left out: a Google ADK agent, served unchanged.

The model is any that speaks the API of OpenAI: OPENAI_BASE_URL and OPENAI_API_KEY say where, OPENAI_MODEL which.
"""

from __future__ import annotations

import os

from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm

critic = LlmAgent(
    name="critic",
    description="Names the point of a text that a brief of it should not have left out.",
    model=OpenAILlm(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini")),
    instruction=(
        "You are given what a brief of a document leaves out. Quote the 1 sentence that a reader would miss most, word "
        "for word, and nothing else."
    ),
)
