"""A program that has configured OpenTelemetry: a caller, an agent, and the agent it calls. Prints the spans as JSON.

A provider is set once for a process, so this one is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import httpx
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import codin
from codin.agent import agent
from codin.errors import CodinError
from codin.net import HttpxTransport
from codin.server import App
from codin.task import AgentResponse, Task
from codin.telemetry import correlation_id

seen: dict[str, Any] = {}


@agent
async def leaf(task: Task) -> AgentResponse:
    """Note what it was told."""
    seen["baggage"] = dict(baggage.get_all())
    seen["correlation_id"] = correlation_id()
    if task.text == "fail":
        raise ValueError("a secret of the handler")
    return AgentResponse.completed("leaf", usage={"input_tokens": 3, "output_tokens": 4})


@agent
async def root(task: Task) -> str:
    """Ask the leaf."""
    return (await task.call("http://leaf", task.text)).text


async def main() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    leaves = App(leaf)
    transport = HttpxTransport(httpx.ASGITransport(leaves))
    roots = App(root, transport=transport)
    through = HttpxTransport(httpx.ASGITransport(roots))
    async with leaves.lifespan(leaves), roots.lifespan(roots):
        token = context.attach(baggage.set_baggage("customer", "seven"))
        async with codin.connect("http://root", transport=through, headers={"X-Correlation-ID": "order-1"}) as peer:
            seen["answer"] = (await peer.send("hello")).text
            async for _ in peer.stream("hello"):
                pass
            await peer.send("fail")
            with contextlib.suppress(CodinError):
                await peer.get("nothing")
        async with codin.connect("http://root", transport=through, binding="HTTP+JSON") as peer:
            with contextlib.suppress(CodinError):
                await peer.get("nothing")
        context.detach(token)
    print(json.dumps({"seen": seen, "spans": [_told(span) for span in exporter.get_finished_spans()]}))


def _told(span: ReadableSpan) -> dict[str, Any]:
    own = span.get_span_context()
    assert own is not None
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": own.trace_id,
        "id": own.span_id,
        "parent": span.parent.span_id if span.parent is not None else None,
        "status": span.status.status_code.name,
        "words": span.status.description,
        "attributes": dict(span.attributes or {}),
        "events": [event.name for event in span.events],
    }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
