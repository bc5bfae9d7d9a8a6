"""The card that both sides sign, and the loop that measures it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from time import process_time

from benchmarks.rig.cpu import cpu_batches, report

_BATCH = 50

CARD = json.dumps(
    {
        "name": "assistant",
        "description": "Answers questions about orders, invoices and deliveries of a shop.",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": "https://agents.example.com/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extensions": [{"uri": "urn:example:numbers", "params": {"limit": 100, "share": 0.25}}],
        },
        "defaultInputModes": ["text/plain", "application/json"],
        "defaultOutputModes": ["text/plain"],
        "skills": [
            {
                "id": f"skill-{number}",
                "name": f"Skill {number}",
                "description": "Looks something up, says where it was found, and asks back when it is not clear.",
                "tags": ["orders", "look-up"],
                "examples": ["Where is my parcel?", "When was the invoice paid?"],
            }
            for number in range(7)
        ],
        "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
        "securityRequirements": [{"schemes": {"bearer": {"list": ["orders:read"]}}}],
    }
).encode()


def main(acts: dict[str, Callable[[], object]]) -> None:
    """Measure what the command line names: `sign SECONDS` or `verify SECONDS`."""
    act, seconds = acts[sys.argv[1]], float(sys.argv[2])

    async def batch() -> float:
        begun = process_time()
        for _ in range(_BATCH):
            act()
        return (process_time() - begun) / _BATCH

    report(**asyncio.run(cpu_batches(batch, seconds)))
