"""Agent Framework's `A2AAgent`, as a service: `lines.py` says how it is called.

Runs in an environment of its own: `python agent_framework_client.py`. What it does is `send` or `stream`; what it gives
is the text so far, and whether the agent has asked for something. The calls with one `conversation` are turns of one
session.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import httpx
from a2a.client.card_resolver import A2ACardResolver
from agent_framework import AgentResponse, AgentSession
from agent_framework_a2a import A2AAgent
from lines import serve

sessions = {}


def told(updates):
    response = AgentResponse.from_updates(updates)
    return {"text": response.text, "asks": bool(response.user_input_requests)}


async def values(call):
    params = call["params"]
    session = sessions.setdefault(params["conversation"], AgentSession())
    async with httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, call["url"]).get_agent_card()
    async with A2AAgent(agent_card=card, supported_protocol_bindings=[call["binding"]]) as agent:
        if call["do"] == "send":
            response = await agent.run(params["text"], session=session)
            yield {"text": response.text, "asks": bool(response.user_input_requests)}
            return
        updates = []
        async for update in agent.run(params["text"], session=session, stream=True):
            updates.append(update)
            yield told(updates)


if __name__ == "__main__":
    serve(values)
