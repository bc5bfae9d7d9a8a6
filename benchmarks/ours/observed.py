"""codin's server, traced; with nobody listening, the default; and without even the look whether somebody does."""

from __future__ import annotations

import os

from starlette.types import Receive, Send

from benchmarks.ours import server
from codin.server import App
from codin.server._endpoint import Endpoint
from codin.server._http import Headers
from codin.server._jsonrpc import JsonRpc
from codin.server._rest import RestRequest
from codin.trust import Caller


class Unobserved(App):
    """What `App` would be if nothing could be observed."""

    async def _respond(
        self,
        binding: JsonRpc | RestRequest,
        endpoint: Endpoint,
        headers: Headers,
        receive: Receive,
        send: Send,
        caller: Caller | None = None,
    ) -> None:
        await binding.respond(endpoint, headers, receive, send, caller=caller)


def build(agent: str, store: str | None = None, port: int = 1) -> App:
    """Make the app; the variable OBSERVED says which of the three."""
    how = os.environ["OBSERVED"]
    if how == "never":
        return Unobserved(server.echo)
    if how == "on":
        _configure()
    return server.build(agent, store, port)


def _configure() -> None:
    """The SDK as operators run it: spans are batched and handed to an exporter, which here drops them."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    exporter.shutdown()  # takes spans and keeps none
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
