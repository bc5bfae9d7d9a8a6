"""Agent Framework's `A2AAgent`, as a service. Runs in an environment of its own: `python agent_framework_client.py`.

It is called as `a2a_sdk_client.py` is. What it does is `send` or `stream`; what it gives is the text so far, and
whether the agent has asked for something. The calls with one `conversation` are turns of one session.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import json

import httpx
from a2a.client.card_resolver import A2ACardResolver
from agent_framework import AgentResponse, AgentSession
from agent_framework_a2a import A2AAgent

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


async def answers(call):
    try:
        async for value in values(call):
            yield {"value": value}
    except Exception as error:
        yield {"error": {"name": type(error).__name__, "message": str(error)}}
    else:
        yield {"end": True}


async def connected(reader, writer):
    try:
        async for answer in answers(json.loads(await reader.readline())):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    except ConnectionError:
        pass  # the test does not want to know the rest
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
