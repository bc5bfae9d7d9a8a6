"""What is told of requests and runs, where somebody listens: spans, and a log line each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from time import perf_counter
from typing import TYPE_CHECKING

from codin import a2a
from codin.agent import Agent
from codin.task import AgentResponse, Handler, NeedAuth, NeedInput, Reject, Task
from codin.telemetry import Spans, Trail, failed, open_spans, spent

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["Observer", "Seen", "open_observer"]

_logger = logging.getLogger("codin.server")


class Seen:
    """What became of a request, filled in by the binding while it answers."""

    __slots__ = ("error", "method")

    def __init__(self) -> None:
        self.method: str = ""
        self.error: a2a.A2AError | None = None


def open_observer() -> Observer | None:
    """An observer, when the program has a provider of traces or logs at INFO; else None, which costs nothing."""
    spans = open_spans()
    return Observer(spans) if spans is not None or _logger.isEnabledFor(logging.INFO) else None


class Observer:
    """Watches requests and runs.

    Args:
        spans: None to write log lines only.
    """

    def __init__(self, spans: Spans | None) -> None:
        self._spans = spans

    async def request(
        self, agent: Agent, trail: Trail, respond: Callable[[Seen], Awaitable[None]], system: str = "jsonrpc"
    ) -> None:
        """Answer a request in a span of its own, and say in a line how that went.

        Args:
            system: the kind of RPC, in the words of OpenTelemetry's conventions.
        """
        seen = Seen()
        began = perf_counter()
        with self._spans.request(trail, system) if self._spans is not None else nullcontext() as span:
            await respond(seen)
            method = seen.method if seen.method in a2a.METHODS else "other"
            if span is not None:
                _tell(span, agent, method, seen.error, system)
            ended = "answered" if seen.error is None else f"refused ({seen.error.reason})"
            _logger.info("%s to %s %s in %.1f ms", method, agent.id, ended, (perf_counter() - began) * 1000)

    def run(self, agent: Agent, handler: Handler) -> Handler:
        """The handler, in a span of its own for each run."""

        async def handle(task: Task) -> AgentResponse:
            assert self._spans is not None
            with self._spans.run(agent.id, agent.name, task.id, task.context_id) as span:
                try:
                    response = await handler(task)
                except (NeedInput, NeedAuth, Reject) as wanted:
                    span.set_attribute("codin.outcome", wanted.response.outcome)
                    raise
                except (Exception, asyncio.CancelledError) as error:
                    failed(span, type(error).__name__)
                    raise
                span.set_attribute("codin.outcome", response.outcome)
                spent(span, {**task.usage, **(response.usage or {})})
                if response.outcome == "failed":
                    failed(span, "failed")
                return response

        return handler if self._spans is None else handle


def _tell(span: Span, agent: Agent, method: str, error: a2a.A2AError | None, system: str) -> None:
    span.update_name(method)
    span.set_attribute("rpc.method", method)
    span.set_attribute("gen_ai.agent.id", agent.id)
    span.set_attribute("gen_ai.agent.name", agent.name)
    if error is not None:
        codes = {"grpc": error.grpc_status, "http_json": str(error.http_status)}
        code = codes.get(system, str(error.rpc_code))
        span.set_attribute("rpc.response.status_code", code)
        failed(span, error.reason, error.message)
