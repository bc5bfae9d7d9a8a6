"""ADK's `RemoteA2aAgent`, as a service. Runs in an environment of its own with google-adk[a2a]: `python adk_client.py`.

It answers as `lines.py` says. Each call is one turn of a conversation,

    {"conversation": "1", "url": "http://…/", "legacy": true, "streaming": true, "text": "…", "answer": null}

and what it gives is each event, and then the texts that are kept in the session. With `answer`, the id of a call that
waits, the text is its function response; without, it is what a user says.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from google.adk.agents.remote_a2a_agent import RemoteA2aAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.genai import types
from lines import serve

WHERE: dict = {"user_id": "user", "session_id": "session"}
runners = {}


async def runner_of(call):
    if call["conversation"] not in runners:
        card = f"{call['url']}.well-known/agent-card.json"
        agent = RemoteA2aAgent(name="peer", agent_card=card, use_legacy=call["legacy"])
        runner = InMemoryRunner(agent=agent, app_name="app")
        await runner.session_service.create_session(app_name="app", **WHERE)
        runners[call["conversation"]] = runner
    return runners[call["conversation"]]


def message_of(call):
    part = types.Part(text=call["text"])
    if call["answer"] is not None:
        response = types.FunctionResponse(id=call["answer"]["id"], name=call["answer"]["name"])
        response.response = {"result": call["text"]}
        part = types.Part(function_response=response)
    return types.Content(role="user", parts=[part])


def parts_of(event):
    return (event.content and event.content.parts) or []


def text_of(event):
    return "".join(part.text for part in parts_of(event) if part.text and not part.thought)


def told(event):
    files = [part.inline_data for part in parts_of(event) if part.inline_data]
    return {
        "text": text_of(event),
        "partial": bool(event.partial),
        "calls": [{"id": call.id, "name": call.name, "args": call.args} for call in event.get_function_calls()],
        "files": [[blob.display_name, blob.mime_type, blob.data.decode()] for blob in files],
        "error": event.error_message,
    }


async def values(call):
    runner = await runner_of(call)
    mode = StreamingMode.SSE if call["streaming"] else StreamingMode.NONE
    config = RunConfig(streaming_mode=mode)
    async for event in runner.run_async(new_message=message_of(call), run_config=config, **WHERE):
        yield told(event)
    session = await runner.session_service.get_session(app_name="app", **WHERE)
    texts = [text_of(event) for event in session.events if event.author == "peer" and text_of(event)]
    yield {"said": texts}


if __name__ == "__main__":
    serve(values)
