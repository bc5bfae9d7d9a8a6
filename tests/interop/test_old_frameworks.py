"""A2A clients that frameworks have written themselves, which speak 0.3."""

from __future__ import annotations

import asyncio

import pytest
from agno.client.a2a import A2AClient

from codin.server import App
from tests.interop.test_old_clients import PIECES, pieces
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


async def test_agno() -> None:
    """It reads text from streams only, and from no artifact of a task."""
    async with asyncio.timeout(30), listening(App(pieces)) as served:
        client = A2AClient(served.url, protocol="json-rpc")
        done = await client.send_message("go")
        assert (done.status, [each.artifact_id for each in done.artifacts]) == ("completed", ["text-1"])
        again = await client.send_message("go on", context_id=done.context_id)
        assert again.context_id == done.context_id
        events = [event async for event in client.stream_message("go")]
    assert "".join(event.content or "" for event in events) == "".join(PIECES)
    assert (events[-1].event_type, events[-1].is_final) == ("completed", True)
