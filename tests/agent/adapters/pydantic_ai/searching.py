"""A model that uses a tool of its provider while it speaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import ModelResponse, ModelResponseStreamEvent, NativeToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse

__all__ = ["Searching"]


class Searching(Model):
    """Streams these parts: texts, and calls of the provider's tool."""

    def __init__(self, *parts: str | NativeToolCallPart) -> None:
        super().__init__()
        self._parts = parts

    @property
    def model_name(self) -> str:
        return "searching"

    @property
    def system(self) -> str:
        return "searching"

    async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
        raise NotImplementedError

    @asynccontextmanager
    async def request_stream(
        self,
        messages: Any,
        model_settings: Any,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        yield _Answer(model_request_parameters, _parts=self._parts)


@dataclass
class _Answer(StreamedResponse):
    _parts: Sequence[str | NativeToolCallPart] = ()

    @property
    def model_name(self) -> str:
        return "searching"

    @property
    def provider_name(self) -> None:
        return None

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime.now(UTC)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for number, part in enumerate(self._parts):
            if isinstance(part, str):
                for event in self._parts_manager.handle_text_delta(vendor_part_id=number, content=part):
                    yield event
            else:
                yield self._parts_manager.handle_part(vendor_part_id=number, part=part)
