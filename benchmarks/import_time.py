"""CPU seconds of a fresh interpreter that imports a side and ends; the interpreter itself is counted on both sides."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from functools import partial

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, Reading, compare
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import pinned, processors
from benchmarks.rig.sides import ROOT

_OURS = "import codin"
_OURS_RESOLVED = "import codin; codin.connect; codin.serve"
_PEER = "import benchmarks.peers, a2a.types"
_PEER_RESOLVED = (
    "import benchmarks.peers; from a2a.client import ClientFactory; from starlette.applications import Starlette; "
    "from a2a.server.request_handlers import DefaultRequestHandler; from a2a.server.tasks import InMemoryTaskStore; "
    "from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes"
)
_REPEATS = 5


def run(plan: Plan) -> Iterator[Figure]:
    """The bare import, and the import with the client and the server resolved."""
    codin, peer = sides.codin(), sides.a2a_sdk()
    programs = [(codin, _OURS), (peer, _PEER), (codin, _OURS_RESOLVED), (peer, _PEER_RESOLVED), (codin, "pass")]
    bare, types, ours, theirs, nothing = interleave(plan, "import", [partial(_read, *one) for one in programs])
    alone = min(one.best for one in nothing)
    rated = partial(compare, unit="ms CPU")
    note = f"`import codin` against `import a2a.types`; an empty program takes {alone:.0f} ms of either"
    yield rated("import", ours=bare, peer=types, bound=Bound("ours", "<=", 100), note=note)
    note = "with the client and the server of either side imported; the peer without its database extra"
    yield rated("import.resolved", ours=ours, peer=theirs, bound=Bound("ours", "<=", 400), note=note)


def _read(side: sides.Side, program: str) -> Reading:
    costs = sorted(_cpu_ms(side, program) for _ in range(_REPEATS))
    return Reading(costs[0], costs[len(costs) // 2])


def _cpu_ms(side: sides.Side, program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        pinned(processors()[0], side.python, "-c", program),
        env=side.process_environ,
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3
