"""The transports under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from codin.net import Transport, open_transport


@pytest.fixture(params=["httpx", "asyncio"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    if request.param != "httpx":
        pytest.importorskip("httptools", reason="pip install 'codin[fast]'")
    opened = open_transport(request.param)
    yield opened
    await opened.aclose()


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: they differ in what a transport sees of a connection that ends."""
    if request.param:
        pytest.importorskip("uvloop", reason="pip install 'codin[fast]'")
    return "asyncio", {"use_uvloop": request.param}
