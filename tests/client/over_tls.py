"""A server with a certificate for one name, called by that name and by another. Prints what came of either.

gRPC reads its roots once in a process, so this one is its own: the file that `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH` names
is written here, before the first call.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import grpc.aio

import codin
import codin.a2a._proto as proto
from codin import a2a
from codin.client import Backoff
from codin.errors import CodinError
from codin.net import AddressGuard
from codin.trust import TrustPolicy
from tests.net.certificate import certificate

RIGHT, WRONG = "agents.invalid", "others.invalid"


async def task(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    found = proto.from_json("Task", b'{"id":"found","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}')
    return found.SerializeToString()


class Anything(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(task)  # pyright: ignore[reportArgumentType]


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def main(key: bytes, certified: bytes) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Anything(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certified)]))
    await server.start()
    policy = TrustPolicy("off", guard=AddressGuard(allow_loopback=True, resolve=here))
    for host in (RIGHT, WRONG):
        card = a2a.AgentCard(
            name="tls",
            description="Behind TLS.",
            version="1",
            supported_interfaces=[
                a2a.AgentInterface(url=f"{host}:{port}", protocol_binding="GRPC", protocol_version="1.0")
            ],
            capabilities=a2a.AgentCapabilities(),
            default_input_modes=["text/plain"],
            default_output_modes=["text/plain"],
            skills=[],
        )
        async with codin.connect(card, trust=policy, backoff=Backoff(tries=0), timeout=10) as peer:
            try:
                print(host, (await peer.get("found")).id)
            except CodinError as error:
                print(host, type(error).__name__)
    await server.stop(None)


if __name__ == "__main__":
    key, certified = certificate(RIGHT)
    Path(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]).write_bytes(certified)
    asyncio.run(main(key, certified))
