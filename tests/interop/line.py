"""A call of a program that speaks for a peer: a line of JSON goes out, lines of JSON come back.

What a program is told is in the call's `do` and `params`; it answers with `{"value": …}` for each thing that its peer
gave, and with `{"end": true}`, or `{"error": {"name": …, "message": …}}` when the peer's own client raised.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

__all__ = ["Refused", "call"]


class Refused(Exception):
    """A peer's client raised.

    Attributes:
        name: of the error's class.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


async def call(port: int, told: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Everything that the peer gives for one call.

    Raises:
        Refused: its client raised.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        writer.write(json.dumps(told).encode() + b"\n")
        while line := await reader.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise Refused(**answer["error"])
            if "end" in answer:
                return
            yield answer["value"]
    finally:
        writer.close()
        await writer.wait_closed()
    raise AssertionError("the program has hung up; its words are above")
