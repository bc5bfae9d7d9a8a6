"""A process that is killed in the middle of a turn: answers one message, and hangs on the next.

Usage: python -m tests.agent.adapters.adk.doomed SERVICE FOLDER MODEL_URL
"""

from __future__ import annotations

import asyncio
import sys

from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm

from codin.agent.adapters.adk import adapt
from tests.agent.adapters.adk.durable import open_sessions
from tests.agent.adapters.desk import Desk


async def main(service: str, folder: str, url: str) -> None:
    agent = LlmAgent(name="c", model=OpenAILlm(model="local", base_url=url, api_key="x"))
    desk = Desk(adapt(agent, session_service=open_sessions(service, folder)))
    await desk.send("one", context="k")
    await desk.send("hang on", context="k")


asyncio.run(main(*sys.argv[1:]))
