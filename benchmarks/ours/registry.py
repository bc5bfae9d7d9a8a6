"""Time of one search among 10,000 agents, in process: `python -m benchmarks.ours.registry WHERE WISH SECONDS`.

WHERE is `registry`, the whole of it from request to answer, or `list`, which looks at one card after the other.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import httpx

from codin import a2a
from codin.mesh import Static
from codin.mesh.registry import Labels, Registration, RegistryApp, SQLiteRegistryStore

_AGENTS = 10_000
_FIRST = ("ba", "ko", "li", "me", "nu", "ro", "sa", "ti")
_SECOND = ("ban", "der", "fos", "gul", "han", "jik", "lom", "mar", "nep", "pol", "quin", "ras", "tov", "vel", "zan")
_WORDS = [first + second for first in _FIRST for second in _SECOND]

Find = Callable[[dict[str, str]], Awaitable[object]]


def _card(number: int, chance: random.Random) -> a2a.AgentCard:
    interface = a2a.AgentInterface(
        url=f"https://agents.example.com/{number}/", protocol_binding="JSONRPC", protocol_version="1.0"
    )
    skills = [
        a2a.AgentSkill(
            id=skill, name=skill.title(), description=" ".join(chance.choices(_WORDS, k=12)), tags=["agent", skill[:2]]
        )
        for skill in chance.sample(_WORDS, 3)
    ]
    return a2a.AgentCard(
        name=f"Agent {number}",
        description=f"An agent that does {' '.join(chance.choices(_WORDS, k=20))}.",
        version="1.0.0",
        supported_interfaces=[interface],
        capabilities=a2a.AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=skills,
    )


_WISHES: dict[str, Callable[[random.Random], dict[str, str]]] = {
    "name": lambda chance: {"name": f"agent {chance.randrange(_AGENTS)}"},
    "skill": lambda chance: {"skill": chance.choice(_WORDS)},
    "tag": lambda _: {"tag": "agent"},  # all have it
    "text": lambda chance: {"text": " ".join(chance.sample(_WORDS, 2))},
    "common": lambda _: {"text": "agent does"},  # all say it
}


async def _registry(cards: list[a2a.AgentCard]) -> Find:
    store = SQLiteRegistryStore()
    await store.open()
    now = time.time()
    for number, card in enumerate(cards):
        url = f"{card.supported_interfaces[0].url}card.json"
        registration = Registration(
            key=f"{number:024}", agent=f"agent-{number}", name=card.name, owner="owner", url=url, card=card.to_json(),
            kid="k", identity=f"agent-{number}@k", jwk="{}", verified=True, ttl=3600, registered=now, seen=now,
        )  # fmt: skip
        skills = frozenset(label for skill in card.skills for label in (skill.id, skill.name))
        tags = frozenset(tag for skill in card.skills for tag in skill.tags)
        text = "\n".join([card.description, *(skill.description for skill in card.skills)])
        await store.put(registration, names=[registration.agent], labels=Labels(skills, tags, text))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=RegistryApp(store)), base_url="http://registry.test")

    async def find(wish: dict[str, str]) -> object:
        answer = await http.get(f"/v1/agents?{urlencode(wish)}")
        assert answer.status_code == 200, answer.text
        return answer.content

    return find


def _list(cards: list[a2a.AgentCard]) -> Find:
    static = Static(cards)

    async def find(wish: dict[str, str]) -> object:
        return await static.find(
            name=wish.get("name"), skill=wish.get("skill"), tag=wish.get("tag"), text=wish.get("text")
        )

    return find


async def _measure(where: str, wish: str, seconds: float) -> None:
    chance = random.Random(7)
    cards = [_card(number, chance) for number in range(_AGENTS)]
    find = await _registry(cards) if where == "registry" else _list(cards)
    few = where == "list"  # one search takes up to a second
    for _ in range(2 if few else 20):
        await find(_WISHES[wish](chance))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < (20 if few else 200) or (time.perf_counter() < end and not few):
        asked = _WISHES[wish](chance)
        begun = time.perf_counter()
        await find(asked)
        times.append(time.perf_counter() - begun)
    p99 = statistics.quantiles(times, n=100)[98]
    print(json.dumps({"p99": p99 * 1000, "median": statistics.median(times) * 1000}))


if __name__ == "__main__":
    asyncio.run(_measure(sys.argv[1], sys.argv[2], float(sys.argv[3])))
