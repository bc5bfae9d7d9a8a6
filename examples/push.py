"""Push notifications: an agent posts what happens to a web server of ours, which knows who has signed it.

    python examples/push.py

The agent waits for nobody: who asked has gone, and its answer comes to a URL. Addresses of this machine are refused
unless they are allowed, because whoever may choose a URL could reach what only the agent reaches.
"""

import asyncio

from starlette.applications import Starlette
from starlette.routing import Route

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.net import AddressGuard
from codin.server.webhook import Webhook
from codin.task import PushPolicy
from codin.testing import serving
from codin.trust import KeyRing, SigningKey

TOKEN = "chosen-for-this-task"  # in real life: random, another one for each
HERE = PushPolicy(guard=AddressGuard(allow_loopback=True))


@agent
async def report(text: str, task: Task) -> str:
    """Write a report, which takes its time."""
    await task.status("reading")
    return f"Report on {text}: all is well."


async def main() -> None:
    ring = KeyRing.of(SigningKey.generate())
    web = Starlette()
    async with serving(web) as ours, serving(report, keys=ring, push=HERE) as url:
        hook = Webhook(url=f"{ours}/hook", keys=ring.published, token=TOKEN)
        web.router.routes.append(Route("/hook", hook))
        config = a2a.TaskPushNotificationConfig(url=f"{ours}/hook", token=TOKEN)
        async with codin.connect(url) as peer:
            reply = await peer.send("the weather", wait=False, push=config)
            print("asked, and gone:", reply.state)
        async for notification in hook:
            update = notification.event.status_update
            print(notification.number, update.status.state.name if update else "artifact")
            if update and update.status.state.terminal:
                print("signed by", (notification.agent or "").partition("@")[0])
                break


if __name__ == "__main__":
    asyncio.run(main())
