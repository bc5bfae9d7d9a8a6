"""Agents of frameworks that are clients of A2A 0.3, as a service: `lines.py` says how it is called.

Usage: python frameworks_03_client.py strands|beeai, each in an environment of its own. What it does is `send` or
`stream`. What it gives is the text of an answer and how the framework says that it ended, or the texts of a stream. The
calls with one `conversation` are turns of one agent.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import sys

from lines import serve

agents = {}


def told(event):
    """The text of an artifact's update."""
    artifact = getattr(event[1], "artifact", None) if isinstance(event, tuple) else None
    return [part.root.text for part in artifact.parts] if artifact else []


async def strands(call):
    from strands.agent.a2a_agent import A2AAgent

    params = call["params"]
    agent = agents.setdefault(params["conversation"], A2AAgent(call["url"]))
    if call["do"] == "send":
        result = await agent.invoke_async(params["text"])
        text = "".join(block["text"] for block in result.message["content"])
        yield {"text": text, "ended": result.stop_reason}
        return
    async for event in agent.stream_async(params["text"]):
        for text in told(event.get("event")):
            yield {"text": text}


async def beeai(call):
    from beeai_framework.adapters.a2a.agents.agent import A2AAgent
    from beeai_framework.memory import UnconstrainedMemory

    params, texts = call["params"], []

    def updated(data, event):
        texts.extend(told(data.value))

    agent = agents.setdefault(params["conversation"], A2AAgent(url=call["url"], memory=UnconstrainedMemory()))
    agent.emitter.on("update", updated)
    result = await agent.run(params["text"], streaming=call["do"] == "stream")
    if call["do"] == "send":
        ended = result.event[0].status.state.value if isinstance(result.event, tuple) else "message"
        yield {"text": result.last_message.text, "ended": ended}
        return
    for text in texts:
        yield {"text": text}


AGENTS = {"strands": strands, "beeai": beeai}

if __name__ == "__main__":
    serve(AGENTS[sys.argv[1]])
