"""The client of the official Python SDK, as a service: `lines.py` says how it is called.

Runs in that SDK's own environment: `python a2a_sdk_client.py`. A call has a `token`, which may be null, and may name a
`binding`; without, JSON-RPC is spoken. The objects are ProtoJSON.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os

os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

import grpc
import httpx
from a2a import types
from a2a.client import ClientCallContext, ClientConfig, ClientFactory
from a2a.client.auth import AuthInterceptor, InMemoryContextCredentialStore
from a2a.client.card_resolver import A2ACardResolver
from google.protobuf.json_format import MessageToDict, ParseDict
from lines import serve

SESSION = "test"


async def authentication(card, token):
    """The SDK's own way: it finds in the card which scheme the token is for."""
    store = InMemoryContextCredentialStore()
    if token is not None:
        for scheme in card.security_schemes:
            await store.set_credentials(SESSION, scheme, token)
    return AuthInterceptor(store)


async def given(verb, url, token, params, binding):  # noqa: C901  (one branch for each verb)
    """What the client gives."""
    # No test has TLS, and to get ready for it takes longer than most calls.
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        if verb == "card":
            yield card
            return
        config = ClientConfig(
            httpx_client=http,
            grpc_channel_factory=grpc.aio.insecure_channel,
            streaming=verb != "send",
            supported_protocol_bindings=[binding] if binding else [],
        )
        client = ClientFactory(config).create(card, interceptors=[await authentication(card, token)])
        context = ClientCallContext(state={"sessionId": SESSION})

        def request(kind):
            return ParseDict(params, kind())

        if verb in {"send", "stream"}:
            async for event in client.send_message(request(types.SendMessageRequest), context=context):
                yield event
        elif verb == "subscribe":
            async for event in client.subscribe(request(types.SubscribeToTaskRequest), context=context):
                yield event
        elif verb == "get":
            yield await client.get_task(request(types.GetTaskRequest), context=context)
        elif verb == "list":
            yield await client.list_tasks(request(types.ListTasksRequest), context=context)
        elif verb == "cancel":
            yield await client.cancel_task(request(types.CancelTaskRequest), context=context)
        elif verb == "extended card":
            yield await client.get_extended_agent_card(request(types.GetExtendedAgentCardRequest), context=context)
        elif verb == "create_push":
            config = request(types.TaskPushNotificationConfig)
            yield await client.create_task_push_notification_config(config, context=context)
        elif verb == "get_push":
            asked = request(types.GetTaskPushNotificationConfigRequest)
            yield await client.get_task_push_notification_config(asked, context=context)
        elif verb == "list_push":
            asked = request(types.ListTaskPushNotificationConfigsRequest)
            yield await client.list_task_push_notification_configs(asked, context=context)
        elif verb == "delete_push":
            asked = request(types.DeleteTaskPushNotificationConfigRequest)
            await client.delete_task_push_notification_config(asked, context=context)


async def values(call):
    async for value in given(call["do"], call["url"], call["token"], call["params"], call.get("binding")):
        yield MessageToDict(value)


if __name__ == "__main__":
    serve(values)
