"""An agent on the official Python SDK. Runs in that SDK's own environment: `python a2a_sdk_server.py`.

Prints its URL as the first line, then serves until it is terminated; with the argument `grpc` its card names gRPC, and
nothing else. What the agent does is the first word of a message:

    chunks N       N pieces of one artifact
    steps N KEY    N pieces, each but the first behind one POST /release/KEY
    … MORE LAG     and MORE pieces LAG turns of the event loop before a client is subscribed to the task
    ask WORD       asks a question, then repeats the answer
    slow           one piece, then it works until it is canceled
    fail WORD      ends as FAILED and says why
    crash          raises
    message WORD   answers with a message, without a task
    tenant         says which tenant the request named
    …              everything else comes back in capitals
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import defaultdict
from contextlib import asynccontextmanager

os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

import grpc
import httpx
import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, a2a_pb2_grpc
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

GATES = defaultdict(lambda: asyncio.Semaphore(0))

AHEAD = {}


class Agent(AgentExecutor):
    async def execute(self, context, event_queue):
        text = context.get_user_input()
        verb, _, rest = text.partition(" ")
        task = context.current_task
        if verb == "message":
            updater = TaskUpdater(event_queue, context.task_id, context.context_id)
            await event_queue.enqueue_event(updater.new_agent_message([Part(text=rest.upper())]))
            return
        if task is None:
            task = new_task_from_user_message(context.message)
            task.id, task.context_id = context.task_id, context.context_id
            await event_queue.enqueue_event(task)
            continued = False
        else:
            continued = True
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if continued or text == "tenant":
            await updater.add_artifact([Part(text=text if continued else context.tenant)], name="answer")
            await updater.complete()
        else:
            await getattr(self, f"do_{verb}", self.shout)(updater, rest if hasattr(self, f"do_{verb}") else text)

    async def shout(self, updater, text):
        await updater.add_artifact([Part(text=text.upper())], name="answer")
        await updater.complete()

    async def do_chunks(self, updater, rest):
        await self._pieces(updater, range(int(rest)))
        await updater.complete()

    async def do_steps(self, updater, rest):
        count, key, more, lag = rest.split()
        AHEAD[updater.task_id] = key, int(more), int(lag)
        for number in range(int(count)):
            if number:
                await GATES[key].acquire()
            await self._pieces(updater, [number])
        await updater.complete()

    async def _pieces(self, updater, numbers):
        for number in numbers:
            await updater.add_artifact([Part(text=f"piece {number} ")], artifact_id="text", append=number > 0)

    async def do_ask(self, updater, rest):
        await updater.requires_input(updater.new_agent_message([Part(text=f"Which {rest}?")]))

    async def do_slow(self, updater, rest):
        await self._pieces(updater, range(1))
        await asyncio.Event().wait()

    async def do_fail(self, updater, rest):
        await updater.failed(updater.new_agent_message([Part(text=rest)]))

    async def do_crash(self, updater, rest):
        raise RuntimeError("this text must stay inside the server")

    async def cancel(self, context, event_queue):
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.cancel()


class Handler(DefaultRequestHandler):
    async def on_subscribe_to_task(self, params, context):
        key, more, lag = AHEAD.get(params.id, ("", 0, 0))
        for _ in range(more):
            GATES[key].release()
        for _ in range(lag):
            await asyncio.sleep(0)
        async for event in super().on_subscribe_to_task(params, context):
            yield event


async def release(request):
    GATES[request.path_params["key"]].release()
    return Response(status_code=204)


def over_grpc(handler, card):
    """A lifespan that serves gRPC as well, and lets the card name that alone."""

    @asynccontextmanager
    async def lifespan(app):
        server = grpc.aio.server()
        a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), server)
        del card.supported_interfaces[1:]
        (interface,) = card.supported_interfaces
        interface.url, interface.protocol_binding = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", "GRPC"
        await server.start()
        yield
        await server.stop(None)

    return lifespan


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
    extended = AgentCard()
    extended.CopyFrom(card)
    extended.description = "Does even more."
    pushes = InMemoryPushNotificationConfigStore()
    handler = Handler(
        agent_executor=Agent(),
        task_store=InMemoryTaskStore(),
        agent_card=card,
        push_config_store=pushes,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(verify=False), pushes),
        extended_agent_card=extended,
    )
    routes = [*create_jsonrpc_routes(handler, "/"), *create_agent_card_routes(card), *create_rest_routes(handler)]
    lifespan = over_grpc(handler, card) if "grpc" in sys.argv else None
    return Starlette(routes=[Route("/release/{key}", release, methods=["POST"]), *routes], lifespan=lifespan)


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = uvicorn.Server(uvicorn.Config(application(url), log_level="warning"))
        print(url, flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
