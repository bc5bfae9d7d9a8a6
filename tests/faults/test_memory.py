"""What is said in tasks is in the memory once, also after `kill -9`."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

import codin
from codin.errors import TransportError
from codin.memory import Memories, Scope
from tests.server.process import running

pytestmark = pytest.mark.anyio

ROUNDS = 5


async def test_what_was_said_is_remembered_once_after_kills(tmp_path: Path) -> None:
    rng = random.Random(7)
    acknowledged: Counter[tuple[str, str]] = Counter()
    async with asyncio.timeout(160):
        for turn in range(ROUNDS):
            last = turn == ROUNDS - 1
            async with running("tests.faults.remembering", place=str(tmp_path)) as process:
                async with codin.connect(process.url) as peer:
                    for number in range(rng.randint(3, 30)):
                        text = f"{turn}-{number}"
                        await peer.send(text, context_id=f"c{number % 3}")
                        acknowledged[f"c{number % 3}", text] += 1
                    if not last:  # in the midst of a call, or of what is written down behind it
                        asyncio.get_running_loop().call_later(rng.random() / 100, process.send, signal.SIGKILL)
                        with suppress(TransportError):
                            await peer.send("nobody hears it", context_id="c0")
                if last:
                    process.stop()
                await process.ended()
        told: Counter[tuple[str, str, str]] = Counter()
        async with Memories(f"sqlite:///{tmp_path}/memory.db") as memories:
            for context_id in ("c0", "c1", "c2"):
                window = await memories.backend.window(Scope("", "echo", "anonymous"), context_id, limit=1000)
                told.update((context_id, one.role, one.text) for one in window)
    for context_id, text in acknowledged:
        assert told[context_id, "user", text] == 1
        assert told[context_id, "agent", text.upper()] == 1
