"""The agent of `tests/interop/peers/a2a_sdk_server.py` with all that the official SDK can do: push, an extended card.

Runs in that SDK's own environment: `python official.py PATH_OF_THE_PEER [grpc]`.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import runpy
import socket
import sys

import uvicorn
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette

peer = runpy.run_path(sys.argv[1])


def application(url):
    card = AgentCard(
        name="official",
        description="Does what the first word says.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(protocol_binding=binding, protocol_version="1.0", url=url)
            for binding in ("JSONRPC", "HTTP+JSON")
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="do", name="do", description="Does what the first word says.", tags=["test"])],
    )
    handler = peer["Handler"](
        agent_executor=peer["Agent"](),
        task_store=InMemoryTaskStore(),
        agent_card=card,
        push_config_store=InMemoryPushNotificationConfigStore(),
        extended_agent_card=card,
    )
    lifespan = peer["over_grpc"](handler, card) if "grpc" in sys.argv else None
    routes = [*create_jsonrpc_routes(handler, "/"), *create_agent_card_routes(card), *create_rest_routes(handler)]
    return Starlette(routes=routes, lifespan=lifespan)


with socket.create_server(("127.0.0.1", 0)) as listener:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server = uvicorn.Server(uvicorn.Config(application(url), log_level="warning"))
    print(url, flush=True)
    server.run(sockets=[listener])
