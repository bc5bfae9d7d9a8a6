"""The transports under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from codin.net import Transport, open_transport


@pytest.fixture(params=["httpx", "aiohttp"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    if request.param == "aiohttp":
        pytest.importorskip("aiohttp", reason="pip install 'codin[fast]'")
    opened = open_transport(request.param)
    yield opened
    await opened.aclose()
