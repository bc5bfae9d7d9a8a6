"""A Ray cluster: what is sent to its nodes is the workload."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import pickle
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Literal

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.runtime._job import Call, call_of
from codin.runtime._protocol import Emit, Endpoint, Function, Item, Kind, Module, Outcome, Workload
from codin.runtime._ray.link import Errand, Link, LinkHere, LinkToChild
from codin.runtime._ray.wire import RayJob, error_of, frames_of, letter, outcome_of, packed
from codin.runtime._runtime import Runtime, able
from codin.runtime._sources import sources_of
from codin.sandbox import Limits, Output

__all__ = ["RayRuntime"]

_KILLED = {
    "crashed": Outcome(exit_code=-9, ended="killed", error="its Ray worker was killed"),
    "memory": Outcome(exit_code=-9, ended="memory", error="Ray killed its worker, because its node ran out of memory"),
}


class RayRuntime(Runtime):
    """Runs functions, modules and calls of endpoints on the nodes of a Ray cluster.

    On its node a workload runs in a sandbox as `LocalRuntime` makes it; without one it runs in the Ray worker itself,
    where the workload says `off`, or `preferred` and the node has none. The nodes need codin, in this version.

    Args:
        address: of the cluster, as `ray.init` takes it; by default RAY_ADDRESS, or the cluster that runs on this
            machine. `local` starts one, which ends with `close`.
        resources: what else a node has to have, such as `{"GPU": 1}`; what the workload's limits say of processors
            and memory it has to have in any case.
        sandboxes: the kinds that may hold a workload on its node, the best first; none, when the nodes have none.
        guard: which addresses an endpoint may have, as `HttpRuntime` takes it.
        runtime_env: of the cluster's workers, as Ray takes it; plain JSON.
        driver: `own`, a process of its own that joins the cluster; or `here`, this process, which has called
            `ray.init` or is one of the cluster's workers. That takes less time, but Ray ends this process when its
            cluster has been gone for a while, and what a task of Ray's raised is unpickled here.
        patience: seconds that connecting may take, and as long that a workload may wait for its place.

    Example:
        async with RayRuntime() as runtime:
            done = await runtime.run(Function(sum, [[1, 2, 3]]))
            print(done.value)
    """

    name: ClassVar[str] = "ray"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "endpoint"})
    named_by: ClassVar[str] = "RAY_ADDRESS"

    def __init__(
        self,
        address: str | None = None,
        *,
        resources: Mapping[str, float] | None = None,
        sandboxes: Sequence[str] = ("local",),
        guard: AddressGuard | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        driver: Literal["own", "here"] = "own",
        patience: float = 60.0,
    ) -> None:
        if find_spec("ray") is None:
            raise RuntimeUnavailable("the runtime 'ray' needs the package ray", hint="pip install 'codin[ray]'")
        if driver == "here" and (address is not None or runtime_env is not None):
            raise ConfigError("with driver='here' the address and the runtime_env are those of ray.init")
        self._here = driver == "here"
        self._options: dict[str, Any] = {"address": address or "auto"}
        if runtime_env is not None:
            self._options["runtime_env"] = dict(runtime_env)
        self._resources = dict(resources or {})
        self._sandboxes = tuple(sandboxes)
        self._guard = guard
        self._patience = patience
        self._margin += patience
        self._opening: asyncio.Task[Link] | None = None
        self._libraries: dict[str, tuple[str, bytes]] = {}
        self._heads: dict[tuple[str, str, float, int], bytes] = {}

    async def missing(self, workload: Workload, /) -> str:
        if workload.kind not in self.kinds:
            return f"it runs no {workload.kind}"
        try:
            if workload.demand != "required" or isinstance(workload, Endpoint):
                await self._connected()
                return ""
            return await self._missing_there(workload)
        except (RuntimeUnavailable, NoRuntime) as error:
            return error.message

    async def close(self) -> None:
        await super().close()
        opening, self._opening = self._opening, None
        if opening is None:
            return
        opening.cancel()  # does nothing to one that is done
        await asyncio.wait([opening])
        if (link := _opened(opening)) is not None:
            await link.close()

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        errand = await self._begun(workload, self._mode(workload))
        outcome: Outcome | None = None
        try:
            while True:
                told, body = await errand.next()
                for frame, content in frames_of(body):
                    if "item" in frame:
                        await emit(Item(frame["item"]))
                    elif "output" in frame:
                        await emit(Output(frame["output"], content))
                    elif "refused" in frame:
                        raise error_of(frame["refused"], workload.kind)
                    else:
                        outcome = outcome_of(frame, content)
                if "end" in told:
                    return outcome or self._ending(told, workload)
        finally:
            await errand.leave()

    async def _begun(self, workload: Workload, mode: str) -> Errand:
        link = await self._connected()
        job, library = self._job(workload)
        return link.begin(self._head(mode, library[0], workload.limits), packed(job), library)

    async def _connected(self) -> Link:
        """The one driver, which all that wait for it share: also that it could not connect."""
        opening = self._opening
        if opening is None or (opening.done() and ((link := _opened(opening)) is None or link.gone)):
            opening = self._opening = asyncio.create_task(self._open(opening))
        return opening.result() if opening.done() else await asyncio.shield(opening)

    async def _open(self, last: asyncio.Task[Link] | None) -> Link:
        if last is not None and (link := _opened(last)) is not None:
            await link.close()
        return LinkHere() if self._here else await LinkToChild.open(self._options, self._patience)

    async def _missing_there(self, workload: Workload) -> str:
        """What a node says that such a workload would run on."""
        errand = await self._begun(workload, "missing")
        try:
            told, body = await errand.next()
        finally:
            await errand.leave()
        if told["end"] != "done":
            self._ending(told, workload)
        return body.decode()

    def _job(self, workload: Workload) -> tuple[RayJob, tuple[str, bytes]]:
        """What is sent, and the sources that go along, which this process reads once for each package."""
        call, name, sources = None, "", b""
        if isinstance(workload, Function | Module):
            call = call_of(workload)
            if isinstance(workload, Module):
                _check(call)
            name, sources = self._library(call.module)
        job = RayJob(
            call=call,
            endpoint=workload if isinstance(workload, Endpoint) else None,
            library=name,
            limits=workload.limits,
            network=workload.network,
            env=dict(workload.env),
            files=dict(workload.files),
            artifacts=tuple(workload.artifacts),
            demand=workload.demand,
            sandboxes=self._sandboxes,
            guard=self._guard,
        )
        return job, (name, sources)

    def _library(self, module: str | None) -> tuple[str, bytes]:
        top = (module or "").partition(".")[0]
        if top not in self._libraries:
            sources = pickle.dumps(dict(sources_of(top) if top not in ("", "codin") else {}))  # the nodes have codin
            empty = sources == pickle.dumps({})
            self._libraries[top] = ("", b"") if empty else (hashlib.sha256(sources).hexdigest(), sources)
        return self._libraries[top]

    def _mode(self, workload: Workload) -> str:
        """Whether it is one task of Ray's with one result, which is the quickest, or one that streams."""
        boxed = workload.demand == "required" or (workload.demand == "preferred" and bool(self._sandboxes))
        if boxed or not isinstance(workload, Function):
            return "do_streaming"
        function = workload.function
        streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        return "do_streaming" if streams else "do"

    def _head(self, mode: str, library: str, limits: Limits) -> bytes:
        """How a job is to be run, which is the same for many."""
        key = mode, library, limits.cpu, limits.memory
        if key not in self._heads:
            needs = {"num_cpus": limits.cpu, "memory": limits.memory, "resources": self._resources}
            head = {"do": "run", "mode": mode, "library": library, "needs": needs, "patience": self._patience}
            self._heads[key] = letter(head)
        return self._heads[key]

    def _ending(self, told: Mapping[str, Any], workload: Workload) -> Outcome:
        """What an end without a result means."""
        end, error = told["end"], told.get("error", "")
        if end in _KILLED:
            return _KILLED[end]
        if end == "nowhere":
            raise NoRuntime(error, able=able(workload.kind), hint="lower its limits, or add a node")
        if end == "failed":
            raise RuntimeUnavailable(
                f"a node could not begin it: {error}", hint="the nodes need codin, in the version that is here"
            )
        raise RuntimeUnavailable(
            f"the Ray cluster, or the node that ran it, went away: {error or 'the driver has ended'}",
            hint="whether it acted is unknown; a workload that is idempotent may say retries",
        )


def _opened(opening: asyncio.Task[Link]) -> Link | None:
    """The driver that an attempt has started, unless it failed."""
    return None if opening.cancelled() or opening.exception() is not None else opening.result()


def _check(call: Call) -> None:
    """Raises ConfigError when what a module is called with is no JSON."""
    try:
        json.dumps(call.told, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the arguments of a {call.kind} are not JSON: {error}") from error
