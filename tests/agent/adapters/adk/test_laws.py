"""The laws of adapters, for Google ADK."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi.openapi.models import APIKey
from google.adk.agents import BaseAgent, InvocationContext, LlmAgent
from google.adk.auth import AuthConfig, AuthCredential, AuthCredentialTypes
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import ToolContext
from google.genai import types
from openai import AsyncOpenAI
from pydantic import BaseModel

from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.adk.promises import CANNOT, NAME
from tests.agent.adapters.adk.scripted import ask_human, speaker

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


async def agent_of(bench: Bench, **fields: Any) -> LlmAgent:
    client = await bench.enter(AsyncOpenAI(base_url=bench.url, api_key="x", max_retries=0, timeout=60))
    return LlmAgent(name="agent", model=OpenAILlm(model="local", client=client), **fields)


async def chat(bench: Bench) -> Any:
    return await agent_of(bench, tools=list(bench.tools))


async def structured(bench: Bench) -> Any:
    return await agent_of(bench, output_schema=Place)


async def asking(bench: Bench) -> Any:
    agent = await agent_of(bench, tools=[ask_human])
    return bench.adapt(agent, session_service=SqliteSessionService(str(bench.folder / "sessions.db")))


def question(text: str) -> tuple[str, dict[str, str]]:
    return "ask_human", {"question": text}


CONFIG = AuthConfig(
    auth_scheme=APIKey.model_validate({"type": "apiKey", "in": "header", "name": "X-Key"}),
    raw_auth_credential=AuthCredential(auth_type=AuthCredentialTypes.API_KEY),
    credential_key="k",
)


def authorizing(bench: Bench) -> Any:
    def fetch(tool_context: ToolContext) -> int | None:
        """Fetch what only the caller may see."""
        credential = tool_context.get_auth_response(CONFIG)
        if credential is None:
            tool_context.request_credential(CONFIG)
            return None
        return len(credential.api_key or "")

    return agent_of(bench, tools=[fetch])


def file(bench: Bench) -> Any:
    async def write(tool_context: ToolContext) -> str:
        """Write it down."""
        blob = types.Blob(data=b"tide", mime_type="text/plain")
        await tool_context.save_artifact("note.txt", types.Part(inline_data=blob))
        return "written"

    return speaker("writer", ("write", {}), "Here it is.", tools=[write])


class Failing(BaseAgent):
    secret: str

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        raise RuntimeError(self.secret)
        yield


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(asking, [Asked("What colour?", "red")], "red", calls=[question("What colour?")]),
    several=Asking(
        asking,
        [Asked("What colour?", "red"), Asked("What size?", "big")],
        "big",
        calls=[question("What colour?"), question("What size?")],
    ),
    authorizing=Asking(authorizing, [Asked("API key", "tide-1")], "6", calls=[("fetch", {})]),
    file=file,
    failing=lambda bench: Failing(name="failing", secret=bench.secret),
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
