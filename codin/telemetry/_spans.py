"""Spans, where the program has configured OpenTelemetry; without it nothing here is ever called.

Names and attributes are those of OpenTelemetry's semantic conventions for generative AI and for RPC.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from codin.telemetry._trail import Trail

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, Tracer

__all__ = ["Spans", "current_ids", "failed", "open_spans", "spent"]

_API = "opentelemetry.trace"


def open_spans() -> Spans | None:
    """The spans of this program; None when it has no provider of traces: decided once, when a server or peer starts."""
    if _API not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        return None  # whoever configures tracing has imported it
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
        return None
    from codin import __version__

    return Spans(provider.get_tracer("codin", __version__))


class Spans:
    """Makes the spans of requests, runs and calls with one tracer. What went wrong is for whoever opened a span to say:
    an exception that leaves the block may be an answer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, trail: Trail, system: str = "jsonrpc") -> Generator[Span]:
        """A request that is answered here, child of the span that the caller names.

        Args:
            system: the kind of RPC, in the words of the conventions.
        """
        from opentelemetry import context, propagate
        from opentelemetry.trace import SpanKind

        token = context.attach(propagate.extract(trail.headers()))
        try:
            attributes = {"rpc.system.name": system, "codin.correlation_id": trail.correlation_id}
            with self._current("A2A", SpanKind.SERVER, attributes) as span:
                yield span
        finally:
            context.detach(token)

    @contextmanager
    def run(self, agent: str, name: str, task_id: str, context_id: str) -> Generator[Span]:
        """An agent at work on a task."""
        from opentelemetry.trace import SpanKind

        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": agent,
            "gen_ai.agent.name": name,
            "gen_ai.conversation.id": context_id,
            "codin.task.id": task_id,
        }
        with self._current(f"invoke_agent {name}", SpanKind.INTERNAL, attributes) as span:
            yield span

    @contextmanager
    def call(
        self, method: str, name: str, host: str, port: int | None, system: str = "jsonrpc"
    ) -> Generator[Mapping[str, str]]:
        """A call of a method of another agent; gives the headers that make the callee's spans its children.

        The span is not the current one: a stream is read in one context and may be closed in another.

        Args:
            system: as that of `request`.
        """
        from opentelemetry import propagate, trace
        from opentelemetry.trace import SpanKind

        attributes: dict[str, str | int] = {
            "rpc.system.name": system,
            "rpc.method": method,
            "gen_ai.agent.name": name,
            "server.address": host,
        }
        if port is not None:
            attributes["server.port"] = port
        span = self._tracer.start_span(method, kind=SpanKind.CLIENT, attributes=attributes)
        headers: dict[str, str] = {}
        propagate.inject(headers, trace.set_span_in_context(span))
        try:
            yield headers
        except BaseException as error:
            if not isinstance(error, GeneratorExit):  # a stream that is left is no failure
                failed(span, getattr(error, "reason", type(error).__name__), str(error))
            raise
        finally:
            span.end()

    def _current(self, name: str, kind: SpanKind, attributes: Mapping[str, str | int]) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        )


def failed(span: Span, kind: str, words: str = "") -> None:
    """Mark a span as one that did not end well."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, words or None)


def spent(span: Span, usage: Mapping[str, float]) -> None:
    """What a run has cost, in the names of the conventions."""
    for name in ("input_tokens", "output_tokens"):
        if name in usage:
            span.set_attribute(f"gen_ai.usage.{name}", usage[name])


def current_ids() -> tuple[str, str] | None:
    """The ids of the current trace and span, as log lines carry them."""
    if _API not in sys.modules:
        return None
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None
