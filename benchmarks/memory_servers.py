"""Searches among 100,000 records in PostgreSQL and in Redis, and what they cost beside the servers asked directly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.rig import sides
from benchmarks.rig.figure import Bound, Figure, compare, unmeasured
from benchmarks.rig.memories import needed
from benchmarks.rig.plan import Plan, interleave
from benchmarks.rig.process import child, cpu_reading
from tests.servers import postgres, redis

_MODULE = "benchmarks.ours.memory_servers"
_RECORDS, _FEW = 100_000, 20_000
_RATIO = 1.5
_WORDS = 30.0  # ms
_FILTER = 50.0  # ms
_SETTINGS = ("fsync=on", "full_page_writes=on", "shared_buffers=128MB")  # as PostgreSQL comes
_FILTERS = [f"filter:{what}:{how}" for how in ("words", "vectors") for what in ("1%", "50%", "0")]
_LIMITS = {"frequent": _WORDS, **dict.fromkeys(_FILTERS, _FILTER)}
_PEERS = {
    "plain": "a plain table with the same index, through asyncpg",
    "fetch": "NumPy over all vectors, fetched for each search: Redis without modules finds none",
    "kept": "NumPy over a matrix in the process, without Redis",
}


def run(plan: Plan) -> Iterator[Figure]:
    """Filled anew for each run, which takes minutes."""
    needed("numpy", "pip install 'codin[memory]'")
    if (reason := postgres.why_not()) is not None:
        yield unmeasured("memory_servers.postgres", reason)
    else:
        with postgres.PostgresServer(*_SETTINGS) as server:
            yield from _measured(plan, "postgres", server.url(), ["plain"])
    if (reason := redis.why_not()) is not None:
        yield unmeasured("memory_servers.redis", reason)
    else:
        with redis.RedisServer() as server:
            yield from _measured(plan, "redis", server.url(), ["fetch", "kept"])


def _measured(plan: Plan, kind: str, url: str, peers: Sequence[str]) -> Iterator[Figure]:
    count = _FEW if plan.quick else _RECORDS
    name = f"memory_servers.{kind}"

    def asked(work: str, side: str = "codin") -> dict[str, Any]:
        return child(sides.codin(), _MODULE, work, side, url, str(plan.seconds), str(count))

    yield from _filled(name, url, count, "plain" in peers)
    for peer in peers:
        ours, theirs = interleave(plan, name, [partial(asked, "vectors", side) for side in ("codin", peer)])
        yield compare(
            f"{name}.vectors.{peer}",
            "ms",
            [cpu_reading(one) for one in ours],
            [cpu_reading(one) for one in theirs],
            direction="ours/peer",
            bound=Bound("ratio", "<=", _RATIO),
            note=f"peer: {_PEERS[peer]}; recall@10 {ours[0]['recall']:.2f} beside {theirs[0]['recall']:.2f}; "
            f"the first search of a process {ours[0]['first']:.0f} ms",
        )
    for work in ("words", "frequent", "hybrid", *_FILTERS, "append"):
        (answers,) = interleave(plan, f"{name}.{work}", [partial(asked, work)])
        yield _timed(f"{name}.{work}", answers, _LIMITS.get(work))
    for how, rate in asked("add").items():
        yield Figure(f"{name}.add", rate, None, None, "records/s", f"into the filled memory, {how}")


def _filled(name: str, url: str, count: int, plain: bool) -> Iterator[Figure]:
    filled = child(sides.codin(), _MODULE, "fill", "codin", url, str(count))
    note = f"{count} records, 1,000 in a call; then {filled['indexed']:.0f} s for an index of the vectors, if any"
    yield Figure(f"{name}.fill", count / filled["added"], None, None, "records/s", note)
    if plain:
        child(sides.codin(), _MODULE, "fill", "plain", url, str(count))


def _timed(name: str, answers: Sequence[dict[str, Any]], limit: float | None) -> Figure:
    best = min(answers, key=lambda answer: answer["median"])
    bound = None if limit is None else Bound("ours", "<=", limit)
    note = f"p50, the best of {len(answers)} rounds; p99 {best['p99']:.1f} ms"
    met = None if bound is None else bound.met(best["median"], 0)
    return Figure(name, best["median"], None, None, "ms", note, "" if limit is None else f"ours <= {limit:g}", met)
