"""Agents that prove who they are: each call carries a token that the caller signs, for that one callee and once.

python examples/authenticated.py

With keys from `codin keys new`, `codin serve file.py --callers known` does the same for a file with an agent in it.
"""

import asyncio

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.client import Peer
from codin.testing import serving
from codin.trust import Access, AgentIdentity, SigningKey, TrustPolicy, TrustStore, identity_of, mint


@agent
async def ledger(task: Task) -> str:
    """Keep the books, and tell who asks."""
    return f"{task.caller.id} may see the books"


async def main() -> None:
    ours, theirs, unknown = (SigningKey.generate() for _ in range(3))
    store = TrustStore()  # what a person has decided; in real life a file, and `codin trust`
    store.name("front desk", theirs.public)
    access = Access({"ledger": "books"}, grants={"front desk": "books"})

    verified = TrustPolicy("require", store=TrustStore(), keys=[ours.public])  # whose cards the callers believe
    async with serving(ledger, keys=ours, trust=store, access=access) as url:
        async with codin.connect(url, credential=AgentIdentity(theirs, "front"), trust=verified) as peer:
            print((await peer.send("the books, please")).text)
        async with codin.connect(url, credential=AgentIdentity(unknown, "front"), trust=verified) as stranger:
            await refused("A key that nobody knows", stranger)
        async with codin.connect(url) as nobody:
            await refused("No token", nobody)
        once = mint(theirs, "front", identity_of("ledger", ours.kid))
        async with codin.connect(url, token=once) as thief:
            await thief.send("the books, please")
            await refused("A token that was used before", thief)
        elsewhere = mint(theirs, "front", identity_of("ledger", unknown.kid))
        async with codin.connect(url, token=elsewhere) as thief:
            await refused("A token for another agent", thief)

        intern = AgentIdentity(ours, "intern")  # an agent with the same key, to whom nobody has granted anything
        async with codin.connect(url, credential=intern, trust=verified) as peer:
            await refused("A known agent without the scope", peer)


async def refused(what: str, peer: Peer) -> None:
    try:
        await peer.send("the books, please")
    except (a2a.Unauthenticated, a2a.PermissionDenied) as error:
        print(f"{what}: {error.http_status}, {error}")


if __name__ == "__main__":
    asyncio.run(main())
