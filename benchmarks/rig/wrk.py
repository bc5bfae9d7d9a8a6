"""HTTP load by wrk, pinned to the processor the server does not use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rig.plan import Plan, Unavailable
from benchmarks.rig.process import Server, pinned, processors

_SCRIPT = Path(__file__).with_name("send_message.lua")
_HINT = (
    "wrk is not on the PATH; get it with `apt-get install wrk`, `dnf install wrk` or `brew install wrk`, "
    "or build https://github.com/wg/wrk"
)


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst saw; `p99` in milliseconds, `cpu` the server's microseconds per call (None where /proc is not)."""

    rate: float
    p99: float
    cpu: float | None


def require_wrk() -> str:
    """The path of wrk; raises Unavailable with the way to get it."""
    if path := shutil.which("wrk"):
        return path
    raise Unavailable(_HINT)


def in_bursts(plan: Plan) -> Plan:
    """Twice the rounds, each as short as wrk can: wall time is what noise hurts most, and some meet a quiet moment."""
    return replace(plan, rounds=2 * plan.rounds)


def burst(server: Server, connections: int) -> Burst:
    """Load the server with echo calls and check that every answer is a completed task."""
    words = [
        "-t1",
        f"-c{connections}",
        "-d1s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        str(_SCRIPT),
        server.url,
    ]
    spent = server.cpu_seconds()
    done = subprocess.run(
        pinned(processors()[1], require_wrk(), *words, server.url),
        env={**os.environ, "BURST": uuid.uuid4().hex[:8]},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"wrk said nothing: {done.stdout[-500:]}{done.stderr[-500:]}")
    seen = json.loads(lines[-1])
    if seen["failures"] or not seen["requests"]:
        raise RuntimeError(
            f"{server.side.name}, c={connections}: {seen['failures']} of {seen['requests']} calls failed, "
            f"such as {seen['sample']!r}\n{server.log()}"
        )
    used = server.cpu_seconds()
    cpu = None if spent is None or used is None else (used - spent) / seen["requests"] * 1e6
    return Burst(seen["requests"] / seen["seconds"], seen["p99"], cpu)
