"""gRPC over TLS, without a proxy. Spec 10.1."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest

from codin.errors import ConfigError
from codin.server import App
from tests.net.certificate import certificate
from tests.server.grpc_call import Grpc
from tests.server.puppet import Puppet

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("GRPC-TLS")
async def test_the_port_has_tls_of_its_own(tmp_path: Path) -> None:
    key, chain = certificate("localhost")
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    app = App(Puppet(), grpc_port=0, grpc_tls=(tmp_path / "chain.pem", tmp_path / "key.pem"))
    await app.start()
    assert app.grpc is not None
    place = f"localhost:{app.grpc.port}"
    try:
        async with asyncio.timeout(30), grpc.aio.secure_channel(place, grpc.ssl_channel_credentials(chain)) as channel:
            assert await Grpc(channel).result("ListTasks") == {"pageSize": 50}
        async with asyncio.timeout(30), grpc.aio.insecure_channel(place) as channel:
            assert (await Grpc(channel).refused("ListTasks")).code == "UNAVAILABLE"
    finally:
        await app.close()


@pytest.mark.parametrize("text", ["", "no certificate"])
async def test_a_certificate_that_is_none_is_said_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "chain.pem").write_text(text)
    missing = tmp_path / "key.pem"
    for files in ((tmp_path / "chain.pem", tmp_path / "chain.pem"), (tmp_path / "chain.pem", missing)):
        app = App(Puppet(), grpc_port=0, grpc_tls=files)
        with pytest.raises(ConfigError, match=r"grpc"):
            await app.start()
