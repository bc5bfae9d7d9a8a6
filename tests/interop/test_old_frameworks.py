"""What the A2A clients of frameworks show beside the matrix."""

from __future__ import annotations

import asyncio

import pytest
from agno.client.a2a import A2AClient
from agno.utils.http import aclose_default_clients

from codin.server import App
from tests.interop.test_old_clients import pieces
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


async def test_agno_names_artifacts_and_goes_on_in_a_context() -> None:
    async with asyncio.timeout(30), listening(App(pieces)) as served:
        client = A2AClient(served.url, protocol="json-rpc")
        done = await client.send_message("go")
        assert (done.status, [each.artifact_id for each in done.artifacts]) == ("completed", ["text-1"])
        again = await client.send_message("go on", context_id=done.context_id)
        assert again.context_id == done.context_id
        await aclose_default_clients()
