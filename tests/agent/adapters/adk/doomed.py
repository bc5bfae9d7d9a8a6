"""A process that is killed in the middle of a turn: answers one message, and hangs on the next.

Usage: python -m tests.agent.adapters.adk.doomed SESSIONS_DB MODEL_URL
"""

from __future__ import annotations

import asyncio
import sys

from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm
from google.adk.sessions.sqlite_session_service import SqliteSessionService

from codin.agent.adapters.adk import adapt
from tests.agent.adapters.desk import Desk


async def main(path: str, url: str) -> None:
    agent = LlmAgent(name="c", model=OpenAILlm(model="local", base_url=url, api_key="x"))
    desk = Desk(adapt(agent, session_service=SqliteSessionService(path)))
    await desk.send("one", context="k")
    await desk.send("hang on", context="k")


asyncio.run(main(*sys.argv[1:]))
