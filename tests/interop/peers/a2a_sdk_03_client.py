"""The client of the official Python SDK for A2A 0.3, as a service: `lines.py` says how it is called.

A call has a `token`, which may be null; `binding` in the parameters names the one to speak. The objects are JSON as 0.3
writes it for JSON-RPC.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os

os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

import httpx
from a2a import types
from a2a.client import A2ACardResolver, ClientCallContext, ClientConfig, ClientFactory
from lines import serve


async def given(verb, url, token, params):  # noqa: C901  (one branch for each thing that it can be told)
    """What the client gives."""
    binding = params.pop("binding", "JSONRPC")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=30, verify=False, headers=headers) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        if verb == "card":
            yield card
            return
        config = ClientConfig(httpx_client=http, streaming=verb != "send", supported_transports=[binding])
        client = ClientFactory(config).create(card)
        context = ClientCallContext()
        if verb in {"send", "stream"}:
            message = types.Message.model_validate(params["message"])
            configuration = params.get("configuration")
            if configuration is not None:
                configuration = types.MessageSendConfiguration.model_validate(configuration)
            async for event in client.send_message(message, configuration=configuration, context=context):
                if isinstance(event, tuple):
                    task, update = event
                    yield task if update is None else update
                else:
                    yield event
        elif verb == "subscribe":
            async for task, update in client.resubscribe(types.TaskIdParams(**params), context=context):
                yield task if update is None else update
        elif verb == "get":
            yield await client.get_task(types.TaskQueryParams(**params), context=context)
        elif verb == "cancel":
            yield await client.cancel_task(types.TaskIdParams(**params), context=context)
        elif verb == "set push":
            yield await client.set_task_callback(types.TaskPushNotificationConfig(**params), context=context)
        elif verb == "get push":
            wanted = types.GetTaskPushNotificationConfigParams(**params)
            yield await client.get_task_callback(wanted, context=context)
        elif verb == "extended card":
            yield await client.get_card(context=context)


async def values(call):
    async for value in given(call["do"], call["url"], call["token"], call["params"]):
        yield value.model_dump(mode="json", by_alias=True, exclude_none=True)


def name_of(error):
    code = getattr(getattr(error, "error", None), "code", getattr(error, "status_code", ""))
    return f"{type(error).__name__} {code}".strip()


if __name__ == "__main__":
    serve(values, name_of)
