"""One trace through several agents, by nothing but a tracer provider.

python examples/traced.py          # needs: pip install opentelemetry-sdk
"""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import codin
from codin.agent import Task, agent
from codin.testing import serving


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def twice(text: str, task: Task) -> str:
    """Say it twice, by the agent that the message's metadata names."""
    first, second = [await task.call(task.metadata["shouter"], text) for _ in range(2)]
    return f"{first.text} {second.text}"


def show(spans: list[ReadableSpan], parent: int | None = None, depth: int = 0) -> None:
    """The tree of the spans, children below their parents."""
    for span in spans:
        own = span.get_span_context()
        if own is not None and (span.parent.span_id if span.parent else None) == parent:
            print(f"{'  ' * depth}{span.kind.name.lower()} {span.name}")
            show(spans, own.span_id, depth + 1)


async def main() -> None:
    exporter = InMemorySpanExporter()  # in earnest, the one of your collector
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with serving(shout, twice) as url, codin.connect(f"{url}/twice") as peer:
        print((await peer.send("hello", metadata={"shouter": f"{url}/shout"})).text)
    show(list(exporter.get_finished_spans()))


if __name__ == "__main__":
    asyncio.run(main())
