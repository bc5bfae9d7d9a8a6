"""Law 8: whatever was acknowledged survives `kill -9`.

A server on SQLite dies fifty times and more: by its own hand behind a random entry, or by ours behind a random event
that a client has received. The next process has to know everything that any client of the one before had been told.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.faults.witness import RESTARTED, SHUT_DOWN, Streaming, Unary, Witness
from tests.server.process import Process, running

pytestmark = pytest.mark.anyio

PROGRAM = "tests.faults.doomed"
CHAINS = 5
ROUNDS = 10
FATES = ("COMPLETED", "FAILED", "ANSWERED", "QUEUED")
PATIENT: float = 60.0  # httpx's own five seconds are a bound on this machine, which may be busy


def load(http: httpx.AsyncClient, rng: random.Random, name: str) -> list[Witness]:
    """Running, parked, queued and unary tasks, in a random order."""

    def streaming(agent: str, text: str, context: str, answer: str | None = None) -> Streaming:
        witness = Streaming(http, agent, text, f"{name}-{context}", f"{name}-{context}-{text}-{rng.random()}")
        witness.answer = answer
        return witness

    def unary(agent: str, context: str, *, at_once: bool) -> Unary:
        witness = Unary(http, agent, f"count {rng.randint(1, 20)}", f"{name}-{context}", f"{name}-{context}")
        witness.at_once = at_once
        return witness

    witnesses: list[Witness] = [
        streaming("/steady", "endless", "running"),
        streaming("/steady", f"count {rng.randint(1, 30)}", "short"),
        streaming("/steady", f"ask {rng.randint(1, 5)}", "parked"),
        streaming("/steady", f"ask {rng.randint(1, 5)}", "answered", answer="blue"),
        streaming("/again", f"count {rng.randint(1, 40)}", "again"),
        streaming("/again", f"ask {rng.randint(1, 5)}", "again-asks", answer="red"),
        unary("/steady", "unary", at_once=False),
        unary("/steady", "at-once", at_once=True),
    ]
    witnesses += [streaming("/steady", "count 20", "queue") for _ in range(3)]  # one at a time
    rng.shuffle(witnesses)
    return witnesses


async def live_and_die(process: Process, rng: random.Random, witnesses: list[Witness]) -> None:
    """Give the server something to do, and kill it in the middle."""
    left = rng.randint(1, 150)
    if rng.random() < 0.5:
        process.tell(str(rng.randint(1, 150)))
        left = -1

    def received() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            process.send(signal.SIGKILL)

    await asyncio.gather(*(witness.live(process.url, received) for witness in witnesses))
    assert await process.ended() == -signal.SIGKILL


async def judged(http: httpx.AsyncClient, url: str, witnesses: list[Witness]) -> Counter[str]:
    """What became of the tasks, when every client's evidence has held."""
    for witness in witnesses:
        witness.http = http
    return Counter(await asyncio.gather(*(witness.judge(url) for witness in witnesses)))


async def chain(file: Path, seed: int) -> Counter[str]:
    """Lives one after the other on one file; gives what became of the tasks.

    Every kind of death has to have happened, or the test says nothing; until then it lives on.
    """
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    witnesses: list[Witness] = []
    deaths = 0
    while True:
        async with (
            running(PROGRAM, store=f"sqlite:///{file}") as process,
            httpx.AsyncClient(verify=False, timeout=PATIENT) as http,
        ):
            found += await judged(http, process.url, witnesses)
            if deaths >= ROUNDS and all(found[fate] for fate in FATES):
                return found
            witnesses = load(http, rng, f"life-{deaths}")
            await live_and_die(process, rng, witnesses)
            deaths += 1


@pytest.mark.parametrize("number", range(CHAINS))
async def test_law_8_what_was_acknowledged_survives_sigkill(tmp_path: Path, number: int) -> None:
    seed = int(os.environ.get("CODIN_KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"CODIN_KILL_SEED={seed}")
    async with asyncio.timeout(170):
        print(await chain(tmp_path / "tasks.db", seed + number))


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGINT]]
)
async def test_a_shutdown_loses_nothing_either(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """With one signal or two: parked tasks can still be answered, queued ones run, rerunnable ones run again."""
    rng = random.Random(1)
    async with httpx.AsyncClient(verify=False, timeout=PATIENT) as http:
        witnesses = load(http, rng, "life")
        for witness in witnesses:
            witness.reasons = (RESTARTED, SHUT_DOWN)
        streams = [witness for witness in witnesses if isinstance(witness, Streaming)]
        [endless] = [witness for witness in streams if witness.text == "endless"]
        [parked] = [witness for witness in streams if witness.text.startswith("ask ") and witness.answer is None]
        async with running(PROGRAM, store=f"sqlite:///{tmp_path / 'tasks.db'}") as process:
            left, stopped = 60, list[bool]()

            def received() -> None:
                nonlocal left
                left -= 1
                # One that runs and one that waits have to be there, in whichever order the machine lets them come.
                if not stopped and left <= 0 and endless.has_begun and parked.is_asked:
                    stopped.append(True)
                    for number in signals:
                        process.send(number)

            await asyncio.gather(*(witness.live(process.url, received) for witness in witnesses))
            await process.ended()
        async with running(PROGRAM, store=f"sqlite:///{tmp_path / 'tasks.db'}") as process:
            found = await judged(http, process.url, witnesses)
    assert found["ANSWERED"] >= 1, found
    assert found["FAILED"] >= 1, found
