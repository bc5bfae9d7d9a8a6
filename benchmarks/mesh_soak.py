"""A mesh of agents, some of which are killed while it works: `python -m benchmarks.mesh_soak [--agents N] [--calls N]`.

Real processes on real sockets, with tasks on SQLite. A tenth of the agents is killed with SIGKILL at random moments; a
supervisor starts them again, as `codin up` does. Every call has an id, which the agents write down. In the end every
call has to have its answer, and has to have been one task and no more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from codin import Mesh, a2a
from codin.client import Backoff
from codin.mesh import MeshLimits, Static

_ROOT = Path(__file__).resolve().parents[1]
_START = 60.0
_CALLERS = 96
_PATIENT = MeshLimits(timeout=120.0, lookup=30.0, fresh=300.0, backoff=Backoff(tries=200, first=0.05, longest=0.5))


@dataclass
class Soak:
    """What is to be done, and what was seen.

    Attributes:
        replicas: of every name, each in another process.
        killed: agents.
        lost: calls without their answer.
        doubled: calls that were more than one task.
        unknown: what the agents wrote down that nobody asked for.
        under_way: messages to them when they were killed.
        again: runs that came to their end twice, the process having died before it had stored the first.
    """

    processes: int = 20
    per_process: int = 10
    replicas: int = 5
    calls: int = 10_000
    kills: int = 2
    seed: int = 0
    killed: int = 0
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    under_way: int = 0
    again: int = 0
    seconds: float = 0.0

    @property
    def agents(self) -> int:
        return self.processes * self.per_process

    @property
    def names(self) -> list[str]:
        return [f"agent-{number}" for number in range(self.agents // self.replicas)]

    @property
    def held(self) -> bool:
        """Whether nothing was lost or doubled."""
        return not (self.lost or self.doubled or self.unknown)

    def placed(self) -> list[list[str]]:
        """The names that each process serves; the replicas of one name are in processes of their own."""
        places: list[list[str]] = [[] for _ in range(self.processes)]
        for number in range(self.agents):
            places[number % self.processes].append(self.names[number // self.replicas])
        return places


class Host:
    """A process with some of the agents. Killed, it comes back where it was, with its store."""

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self.names = names
        self.record = folder / "record"
        self._folder = folder
        # Bound and not listened on: nobody else is given the port, and the process may have it, again and again.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self._port: int = self._held.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self._port}/"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def urls(self) -> list[str]:
        return [f"{self.origin}{name}" for name in self.names]

    async def start(self) -> None:
        words = [",".join(self.names), str(self._port), f"sqlite:///{self._folder}/tasks.db", str(self.record)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.ours.recorder", *words,
            stdout=asyncio.subprocess.PIPE, cwd=_ROOT, env={**os.environ, "CODIN_RUNTIME": str(self._folder)},
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(_START):
            for _ in self.names:
                if not await self._process.stdout.readline():
                    raise RuntimeError("a process did not start")

    async def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        self._held.close()
        await self.kill()

    def written(self) -> list[tuple[str, str]]:
        """The calls and the tasks that its agents wrote down."""
        if not self.record.exists():
            return []
        lines = [line.split() for line in self.record.read_text(encoding="utf-8").splitlines()]
        return [(call, task) for call, task in lines]


async def soak(plan: Soak) -> Soak:
    """Run it, and fill in what was seen."""
    draw = random.Random(plan.seed)
    with tempfile.TemporaryDirectory() as folder:
        async with _hosts(plan, Path(folder)) as hosts:
            urls = [url for host in hosts for url in host.urls]
            directory = Static(urls, fresh=float("inf"))
            async with Mesh(directory, transport="asyncio", limits=_PATIENT, random=draw) as mesh:
                await mesh.find()
                begun = time.perf_counter()
                await _run(plan, hosts, mesh, draw)
                plan.seconds = time.perf_counter() - begun
        _judge(plan, hosts)
    return plan


@asynccontextmanager
async def _hosts(plan: Soak, folder: Path) -> AsyncGenerator[list[Host]]:
    hosts: list[Host] = []
    async with AsyncExitStack() as stack:
        for number, names in enumerate(plan.placed()):
            place = folder / str(number)
            place.mkdir(mode=0o700)
            hosts.append(Host(names, place))
            stack.push_async_callback(hosts[-1].close)
        for some in range(0, len(hosts), 4):  # starting is what takes a processor
            await asyncio.gather(*(host.start() for host in hosts[some : some + 4]))
        yield hosts


async def _run(plan: Soak, hosts: Sequence[Host], mesh: Mesh, draw: random.Random) -> None:
    doomed = draw.sample(list(hosts), plan.kills)
    moments = dict(zip(draw.sample(range(plan.calls // 10, plan.calls * 9 // 10), plan.kills), doomed, strict=True))
    left = iter(range(plan.calls))
    returning: list[asyncio.Task[None]] = []

    async def bring_back(host: Host) -> None:
        plan.under_way += sum(state.in_flight for state in mesh.state if state.url.startswith(host.origin))
        plan.killed += len(host.names)
        await host.kill()
        await host.start()

    async def caller() -> None:
        for number in left:
            if (host := moments.get(number)) is not None:
                returning.append(asyncio.create_task(bring_back(host)))
            await _call(plan, mesh, f"call-{number}", draw.choice(plan.names))

    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    await asyncio.gather(*returning)


async def _call(plan: Soak, mesh: Mesh, call: str, name: str) -> None:
    try:
        reply = await mesh.call(name, call)
    except Exception as error:
        plan.lost.append(f"{call}: {error}")
        return
    if reply.state != a2a.TaskState.COMPLETED or reply.text != call:
        plan.lost.append(f"{call}: {reply}")


def _judge(plan: Soak, hosts: Sequence[Host]) -> None:
    tasks: dict[str, list[str]] = defaultdict(list)
    for host in hosts:
        for call, task in host.written():
            tasks[call].append(task)
    asked = {f"call-{number}" for number in range(plan.calls)}
    plan.unknown = sorted(tasks.keys() - asked)
    plan.doubled = sorted(call for call, made in tasks.items() if len(set(made)) > 1)
    plan.again = sum(len(made) - len(set(made)) for made in tasks.values())
    plan.lost += sorted(asked - tasks.keys())


def main() -> int:
    """Run the full size; 0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mesh_soak", description=__doc__)
    parser.add_argument("--processes", type=int, default=Soak.processes)
    parser.add_argument("--agents", type=int, default=Soak.processes * Soak.per_process, help="in all")
    parser.add_argument("--calls", type=int, default=Soak.calls)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    per_process = options.agents // options.processes
    kills = max(1, options.processes // 10)
    plan = Soak(options.processes, per_process, calls=options.calls, kills=kills, seed=options.seed)
    done = asyncio.run(soak(plan))
    print(f"seed {done.seed}: {done.agents} agents in {done.processes} processes, {done.calls} calls")
    print(f"{done.killed} agents killed, with {done.under_way} messages to them under way")
    print(f"{done.calls / done.seconds:.0f} calls/s; {len(done.lost)} lost, {len(done.doubled)} doubled, ", end="")
    print(f"{len(done.unknown)} of nobody; {done.again} runs ended twice")
    for problem in [*done.lost, *done.doubled, *done.unknown][:20]:
        print(problem)
    return 0 if done.held else 1


if __name__ == "__main__":
    sys.exit(main())
