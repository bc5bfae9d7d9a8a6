"""Where the CPU of our own side goes, in process: `python -m benchmarks.profile unary|stream`.

`python -m benchmarks.profile kept` counts the objects an ended task leaves for the garbage collector to look at. A full
collection, and with it the slowest answer, grows with them.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
from collections import Counter

import uvloop

from benchmarks.rig import asgi, calls, sides


def main() -> None:
    """Print the functions that cost most. The profiler adds to every call, so compare shares and not microseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile")
    parser.add_argument("kind", choices=("unary", "stream", "kept"))
    parser.add_argument("--side", choices=("codin", "floor"), default="codin")
    parser.add_argument("--calls", type=int, help="how many calls (2000) or streams (50)")
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--sort", default="tottime", choices=("tottime", "cumtime", "ncalls"))
    parser.add_argument("--limit", type=int, default=40, help="how many functions to print")
    parser.add_argument("--output", help="also keep the profile in this file, for snakeviz and the like")
    options = parser.parse_args()
    side = sides.codin() if options.side == "codin" else sides.floor()
    app = asgi.load(side.server, "stream" if options.kind == "stream" else "echo")
    if options.kind == "kept":
        uvloop.run(_count_kept(app, options.calls or 1000))
        return
    profile = cProfile.Profile()
    uvloop.run(_profiled(profile, app, options))
    if options.output:
        profile.dump_stats(options.output)
    pstats.Stats(profile).strip_dirs().sort_stats(options.sort).print_stats(options.limit)


async def _profiled(profile: cProfile.Profile, app: asgi.App, options: argparse.Namespace) -> None:
    held = await asgi.start(app)
    if options.kind == "unary":
        bodies = [calls.send_message() for _ in range(options.calls or 2000)]
    else:
        bodies = [calls.send_streaming_message(str(options.chunks)) for _ in range(options.calls or 50)]
    await asgi.exchange(app, bodies.pop())
    profile.enable()
    for body in bodies:
        await asgi.exchange(app, body)
    profile.disable()
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)


async def _count_kept(app: asgi.App, tasks: int) -> None:
    held = await asgi.start(app)
    for _ in range(100):
        await asgi.exchange(app, calls.send_message())
    before = _tracked()
    for _ in range(tasks):
        await asgi.exchange(app, calls.send_message())
    grown = _tracked() - before
    print(f"{grown.total() / tasks:.1f} objects per kept task")
    for kind, count in grown.most_common():
        if count >= tasks / 10:
            print(f"{count / tasks:8.1f}  {kind}")
    held.cancel()


def _tracked() -> Counter[str]:
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


if __name__ == "__main__":
    main()
