"""A conversation with an agent on an official SDK, recorded, and played without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codin.a2a import TaskState
from codin.client import Peer, connect
from codin.testing import Cassette, CassetteMiss

pytestmark = pytest.mark.anyio


async def talk(peer: Peer) -> Any:
    """A card, an answer, a stream, and a question with its answer."""
    reply = await peer.send("hello there")
    streamed = [(event.kind, event.text, event.state) async for event in peer.stream("chunks 20")]
    asked = await peer.send("ask colour")
    done = await peer.send("blue", task_id=asked.task_id, context_id=asked.context_id)
    return peer.card, reply.text, streamed, asked.state, done.text, done.task


@pytest.mark.parametrize("transport", ["httpx", "asyncio"])
async def test_a_conversation_is_played_without_the_server(
    official_server: str, transport: str, tmp_path: Path
) -> None:
    path = tmp_path / "official.json"
    async with (
        Cassette(path, transport=transport) as cassette,
        connect(official_server, transport=cassette, token="s3cret-token") as peer,
    ):
        recorded = await talk(peer)
        assert recorded[3] is TaskState.INPUT_REQUIRED
    async with Cassette(path) as cassette, connect(official_server, transport=cassette) as peer:
        assert await talk(peer) == recorded
        with pytest.raises(CassetteMiss, match="hello there"):
            await peer.send("hello where")
    written = path.read_text(encoding="utf-8")
    assert "s3cret" not in written
    assert official_server.rstrip("/") in written
