"""An ADK agent whose model streams words from memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode  # pyright: ignore[reportPrivateImportUsage] # as ADK's docs do
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types

from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "build", "direct"]


class Words(BaseLlm):
    """The model."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        for piece in PIECES:
            yield LlmResponse(content=_content("model", piece), partial=True)
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=1, candidates_token_count=len(PIECES), total_token_count=len(PIECES) + 1
        )
        yield LlmResponse(content=_content("model", TEXT), usage_metadata=usage)


def _content(role: str, text: str) -> types.Content:
    return types.Content(role=role, parts=[types.Part(text=text)])


def build() -> LlmAgent:
    """The agent."""
    return LlmAgent(name="words", model=Words(model="words"))


def direct() -> Callable[[], Awaitable[None]]:
    """One run in a session of its own, streamed as who shows it to a person would."""
    runner = InMemoryRunner(build(), app_name="words")
    config = RunConfig(streaming_mode=StreamingMode.SSE)

    async def run() -> None:
        session = await runner.session_service.create_session(app_name="words", user_id="user")
        text = ""
        async for event in runner.run_async(
            user_id="user", session_id=session.id, new_message=_content("user", "go"), run_config=config
        ):
            if event.partial and event.content:
                text += "".join(part.text or "" for part in event.content.parts or ())
        assert text == TEXT, text

    return run
