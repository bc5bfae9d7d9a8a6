"""A registry: agents are found by what they do, and nobody takes another's name.

    python examples/registry.py

On the command line: `codin registry`, `codin serve hello.py --registry http://127.0.0.1:7000`, `codin find greets`.
"""

import asyncio
from contextlib import AsyncExitStack

import codin
from codin.agent import agent
from codin.errors import CodinError
from codin.mesh.registry import Announced, Membership, Registry, RegistryApp
from codin.net import MemoryTransport
from codin.server import App
from codin.trust import SigningKey


@agent
async def translate(text: str) -> str:
    """Translate a greeting into French."""
    return {"hello": "bonjour"}.get(text, text)


@agent
async def count(text: str) -> str:
    """Count the words of a text."""
    return str(len(text.split()))


async def main() -> None:
    keys = {each: SigningKey.generate() for each in (translate, count)}
    apps = {f"{each.id}.test": App(each, public_url=f"http://{each.id}.test", keys=keys[each]) for each in keys}
    network = MemoryTransport({**apps, "registry.test": RegistryApp(public_url="http://registry.test")})

    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry("http://registry.test", transport=network, fresh=0))
        for each, key in keys.items():  # `codin.serve(each, registry=...)` does this by itself
            place = f"http://{each.id}.test/.well-known/agent-card.json"
            card = (await network.request("GET", place, headers={}, timeout=5)).body
            announced = Announced(place, lambda card=card: card)
            await (await stack.enter_async_context(Membership(registry, [announced], key=lambda key=key: key))).joined()

        for found in await registry.find():
            print(f"{found.id}: {found.health}, verified: {found.verified}, skills: {sorted(found.skills)}")
        (found,) = await registry.find(text="greeting french")
        async with codin.connect(found.url, transport=network) as peer:
            print(f"{found.id} says:", (await peer.send("hello")).text)
            try:
                await registry.register(peer.card, found.url, key=SigningKey.generate())
            except CodinError as error:
                print("Mallory:", error.message.partition(": ")[2])


if __name__ == "__main__":
    asyncio.run(main())
