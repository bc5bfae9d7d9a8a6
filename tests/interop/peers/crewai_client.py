"""An agent of CrewAI that delegates to a remote agent, as a service: `lines.py` says how it is called.

Runs in CrewAI's own environment: `python crewai_client.py`, with its databases in `CREWAI_STORAGE_DIR`. The calls with
one `conversation` are what the model of a crew says to the remote agent, one after the other, until the crew has its
answer. What a call gives is an empty text for each piece that arrives, and then the crew's answer, or what CrewAI takes
for a question or a failure, and which of them it is.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import json
import os
from queue import SimpleQueue

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"

from crewai import Agent, BaseLLM, Crew, Task
from crewai.a2a import A2AClientConfig
from crewai.a2a.config import ClientTransportConfig
from crewai.events import crewai_event_bus
from crewai.events.types.a2a_events import A2AArtifactReceivedEvent, A2ADelegationCompletedEvent
from lines import serve
from pydantic import PrivateAttr

conversations = {}
tasks = {}


class Model(BaseLLM):
    """Says to the remote agent what it is told to say."""

    _card: str = PrivateAttr()
    _says: SimpleQueue = PrivateAttr()

    def call(self, *args, **kwargs):  # in a thread
        said = self._says.get()
        return json.dumps({"a2a_ids": [self._card], "message": said or "It failed.", "is_a2a": said is not None})

    def get_input_tokens_count(self, *args, **kwargs):
        return 100  # by default it is counted with a warning


class Conversation:
    """One run of a crew.

    Attributes:
        heard: text and state of what the client tells CrewAI; the state of a piece is empty.
    """

    def __init__(self, url, binding):
        self.says, self.heard = SimpleQueue(), asyncio.Queue()
        card = f"{url}.well-known/agent-card.json"
        model = Model(model="told")
        model._card, model._says = card, self.says
        remote = A2AClientConfig(
            endpoint=card,
            trust_remote_completion_status=True,
            transport=ClientTransportConfig(supported=[binding]),
        )
        agent = Agent(role="Boss", goal="have it done", backstory="a boss", llm=model, a2a=remote)
        task = Task(description="go", expected_output="text", agent=agent)
        tasks[str(task.id)] = self, asyncio.get_running_loop()
        self.run = asyncio.create_task(Crew(agents=[agent], tasks=[task]).akickoff())

    async def say(self, text):
        self.says.put(text)
        state = ""
        while not state:
            text, state = await self.heard.get()
            if state == "failed":
                self.says.put(None)  # CrewAI asks the model what to do now
                await self.run
            if state == "completed":
                text = (await self.run).raw
            yield {"text": text, "state": state}


def tell(event, text, state):
    """Pass on what the client found; the events come in a thread, in their order."""
    conversation, loop = tasks[event.task_id]
    loop.call_soon_threadsafe(conversation.heard.put_nowait, (text, state))


@crewai_event_bus.on(A2AArtifactReceivedEvent)
async def arrived(source, event):
    tell(event, "", "")


@crewai_event_bus.on(A2ADelegationCompletedEvent)
async def delegated(source, event):
    tell(event, event.error or "", event.status.replace("_", "-"))


async def values(call):
    params = call["params"]
    name = params["conversation"]
    if name not in conversations or conversations[name].run.done():
        conversations[name] = Conversation(call["url"], call["binding"])
    async for told in conversations[name].say(params["text"]):
        yield told


if __name__ == "__main__":
    serve(values)
