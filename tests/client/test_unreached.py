"""`ConnectError` means that no try has reached the peer; and who has another peer to turn to learns it at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from codin import a2a
from codin.client import Backoff, Peer, connect
from codin.errors import ConnectError, TransportError
from codin.net import Response, StreamingResponse

pytestmark = pytest.mark.anyio

CARD = a2a.AgentCard(
    name="echo",
    description="Echo.",
    version="1",
    supported_interfaces=[a2a.AgentInterface(url="http://echo/", protocol_binding="JSONRPC", protocol_version="1.0")],
    capabilities=a2a.AgentCapabilities(
        streaming=True, extensions=[a2a.AgentExtension(uri=a2a.RESUME_EXTENSION, description="")]
    ),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[],
)


class Failing:
    """Fails as it is told, and at last reaches nobody."""

    def __init__(self, *failures: TransportError) -> None:
        self.failures = list(failures)
        self.tries = 0

    def fail(self) -> TransportError:
        self.tries += 1
        return self.failures.pop(0) if self.failures else ConnectError("nobody is there")

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        raise self.fail()

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float | None
    ) -> AsyncGenerator[StreamingResponse]:
        raise self.fail()
        yield  # pyright: ignore[reportUnreachable]

    async def aclose(self) -> None: ...


async def ask(peer: Peer, *, streaming: bool) -> None:
    if streaming:
        await anext(peer.stream("hello"))
    else:
        await peer.send("hello")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("failures", "unreached", "error", "tries"),
    [
        ([], True, ConnectError, 3),
        ([], False, ConnectError, 1),
        ([TransportError("lost")], True, TransportError, 3),
        ([TransportError("lost")], False, TransportError, 3),
        ([ConnectError("not yet"), TransportError("lost")], True, TransportError, 3),
    ],
)
async def test_the_error_says_whether_anything_was_sent(
    failures: list[TransportError], unreached: bool, error: type[TransportError], tries: int, streaming: bool
) -> None:
    transport = Failing(*failures)
    backoff = Backoff(tries=2, first=0.0, unreached=unreached)
    async with connect(CARD, transport=transport, backoff=backoff) as peer:
        with pytest.raises(TransportError) as caught:
            await ask(peer, streaming=streaming)
    assert (type(caught.value), transport.tries) == (error, tries)
