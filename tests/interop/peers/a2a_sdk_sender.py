"""The official Python SDK as a sender of push notifications: `python a2a_sdk_sender.py URL TOKEN`. Posts two events."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import os
import sys

os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

import httpx
from a2a import types
from a2a.server.context import ServerCallContext
from a2a.server.tasks import BasePushNotificationSender, InMemoryPushNotificationConfigStore


async def main():
    url, token = sys.argv[1:]
    store = InMemoryPushNotificationConfigStore()
    authentication = types.AuthenticationInfo(scheme="Bearer", credentials=token)
    config = types.TaskPushNotificationConfig(id="c", task_id="t", url=url, token=token, authentication=authentication)
    await store.set_info("t", config, ServerCallContext())
    async with httpx.AsyncClient(verify=False) as http:
        sender = BasePushNotificationSender(http, store)
        status = types.TaskStatus(state=types.TaskState.TASK_STATE_WORKING)
        await sender.send_notification("t", types.Task(id="t", context_id="c", status=status))
        done = types.TaskStatus(state=types.TaskState.TASK_STATE_COMPLETED)
        await sender.send_notification("t", types.TaskStatusUpdateEvent(task_id="t", context_id="c", status=done))
    print("posted", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
