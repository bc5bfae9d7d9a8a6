"""An agent on the official Python SDK for A2A 0.3: the twin of `a2a_sdk_server.py`, which says what it does.

Runs in an environment of its own: `python a2a_sdk_03_server.py`.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict

os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

import httpx
import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.apps.rest.rest_adapter import RESTAdapter
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TextPart
from a2a.utils import new_agent_text_message, new_task
from starlette.responses import Response
from starlette.routing import Route

GATES = defaultdict(lambda: asyncio.Semaphore(0))


def said(text):
    return [Part(root=TextPart(text=text))]


class Agent(AgentExecutor):
    async def execute(self, context, event_queue):
        text = context.get_user_input()
        verb, _, rest = text.partition(" ")
        if verb == "message":
            await event_queue.enqueue_event(new_agent_text_message(rest.upper(), context.context_id))
            return
        continued = context.current_task is not None
        task = context.current_task or new_task(context.message)
        if not continued:
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if continued:
            await updater.add_artifact(said(text), name="answer")
            await updater.complete()
        else:
            known = getattr(self, f"do_{verb}", None)
            await (known(updater, rest) if known is not None else self.shout(updater, text))

    async def shout(self, updater, text):
        await updater.add_artifact(said(text.upper()), name="answer")
        await updater.complete()

    async def do_chunks(self, updater, rest):
        await self._pieces(updater, range(int(rest)))
        await updater.complete()

    async def do_steps(self, updater, rest):
        count, key, *_ = rest.split()
        for number in range(int(count)):
            if number:
                await GATES[key].acquire()
            await self._pieces(updater, [number])
        await updater.complete()

    async def _pieces(self, updater, numbers):
        for number in numbers:
            await updater.add_artifact(said(f"piece {number} "), artifact_id="text", append=number > 0)

    async def do_ask(self, updater, rest):
        await updater.requires_input(updater.new_agent_message(said(f"Which {rest}?")), final=True)

    async def do_slow(self, updater, rest):
        await self._pieces(updater, range(1))
        await asyncio.Event().wait()

    async def do_fail(self, updater, rest):
        await updater.failed(updater.new_agent_message(said(rest)))

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


async def release(request):
    GATES[request.path_params["key"]].release()
    return Response(status_code=204)


def application(url):
    card = AgentCard(
        name="official",
        description="Does what the first word says.",
        version="1.0.0",
        url=url,
        additional_interfaces=[AgentInterface(url=url, transport="HTTP+JSON")],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="do", name="do", description="Does what the first word says.", tags=["test"])],
        supports_authenticated_extended_card=True,
    )
    extended = card.model_copy(update={"description": "Does even more."})
    pushes = InMemoryPushNotificationConfigStore()
    handler = DefaultRequestHandler(
        agent_executor=Agent(),
        task_store=InMemoryTaskStore(),
        push_config_store=pushes,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(verify=False), pushes),
    )
    app = A2AStarletteApplication(agent_card=card, http_handler=handler, extended_agent_card=extended)
    rest = RESTAdapter(agent_card=card, http_handler=handler, extended_agent_card=extended)
    resources = [Route(path, endpoint, methods=[verb]) for (path, verb), endpoint in rest.routes().items()]
    return app.build(routes=[Route("/release/{key}", release, methods=["POST"]), *resources])


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = uvicorn.Server(uvicorn.Config(application(url), log_level="warning"))
        print(url, flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
