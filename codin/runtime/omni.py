"""The one door: picks a back-end by workload, policy and what is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import ClassVar, get_args

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable
from codin.runtime._kinds import runtime_class, runtime_of, runtimes
from codin.runtime._protocol import Emit, Kind, Outcome, SandboxDemand, Workload
from codin.runtime._result import RuntimeResult
from codin.runtime._runtime import Runtime, able, checked
from codin.sandbox._checks import check_word

__all__ = ["OmniRuntime"]

# Nothing is missing there: it is where this process is.
_WITHIN = (
    'sandbox = "off" in its agent.toml lets an agent\'s tools have theirs, its own or those that it serves to others '
    "(share_tools)"
)


class OmniRuntime(Runtime):
    """Runs a workload on the first back-end that can: the one it names, or else the first in the order given.

    Args:
        among: the back-ends, by name or made by the caller, the best first; all that are installed when not given, of
            which a Ray cluster is one only where RAY_ADDRESS names it, or the workload says `on="ray"`.
        sandbox: the least that every workload has to ask of a sandbox, whatever it says itself: `required` makes it so
            for all, `off` leaves it to each.

    Raises:
        ConfigError: `sandbox` is none of the three.

    Example:
        async with OmniRuntime() as runtime:
            done = await runtime.run(Command(Code("print(6 * 7)")))
            print(done.text, done.runtime, done.sandbox)
    """

    name: ClassVar[str] = "omni"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "command", "container", "endpoint"})

    def __init__(self, among: Sequence[str | Runtime] | None = None, *, sandbox: SandboxDemand = "off") -> None:
        check_word("sandbox", sandbox, get_args(SandboxDemand))
        self._is_found = among is None
        self._among: tuple[str | Runtime, ...] = tuple(runtimes() if among is None else among)
        self._floor: SandboxDemand = sandbox
        self._made: dict[str, Runtime] = {}

    async def run(self, workload: Workload, /, *, stream: bool = False) -> RuntimeResult:
        """As `Runtime.run`; the result names the back-end that was chosen.

        Raises:
            ConfigError: it names a back-end that nobody has; its block has been left.
            NoRuntime: no back-end that is here can run it under its policy; says why for each, and names those that
                can run this kind of workload at all.
        """
        workload = _demanding(checked(workload), self._floor)
        return self._kept(await (await self.choose(workload)).run(workload, stream=stream))

    async def choose(self, workload: Workload, /) -> Runtime:
        """The back-end that would run it. Raises as `run` does."""
        self._check_open()
        on = checked(workload).on
        if on is not None and on not in (known := {*self._names(), *runtimes()}):
            raise ConfigError(f"there is no runtime {on!r}", hint=f"one of: {', '.join(sorted(known))}")
        reasons: list[str] = []
        async for runtime in self._candidates(workload, reasons):
            if not (reason := await runtime.missing(workload)):
                return runtime
            reasons.append(f"{runtime.name}: {reason}")
        others = [name for name in able(workload.kind) if name not in self._names()]
        missing = _WITHIN if os.environ.get("CODIN_SANDBOX") else "`codin runtimes` says what is missing"
        raise NoRuntime(
            f"nothing here can run this {workload.kind}: {'; '.join(reasons) or 'no back-end was given that could'}",
            able=able(workload.kind),
            hint=f"it also runs on: {', '.join(others)}" if others else missing,
        )

    async def missing(self, workload: Workload, /) -> str:
        try:
            await self.choose(_demanding(checked(workload), self._floor))
        except NoRuntime as error:
            return error.message
        return ""

    async def close(self) -> None:
        """End what streams, and close the back-ends that it made; those that were handed in are their owner's."""
        await super().close()
        async with AsyncExitStack() as closing:  # all of them, also where one of them fails
            while self._made:
                closing.push_async_callback(self._made.popitem()[1].close)

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        raise NotImplementedError("run() hands the workload to the chosen back-end, whole")

    async def _candidates(self, workload: Workload, reasons: list[str]) -> AsyncIterator[Runtime]:
        for one in self._among:
            name = one if isinstance(one, str) else one.name
            if workload.on is not None and workload.on != name:
                continue
            try:
                known = runtime_class(one) if isinstance(one, str) else one
                if workload.kind not in known.kinds:
                    if workload.on is not None:
                        reasons.append(f"{name}: it runs no {workload.kind}")
                    continue
                if self._is_found and workload.on is None and known.named_by and known.named_by not in os.environ:
                    reasons.append(f"{name}: none is named, by {known.named_by} or with on={name!r}")
                    continue
                yield self._runtime(one)
            except RuntimeUnavailable as error:
                reasons.append(f"{name}: {error.message}")

    def _runtime(self, one: str | Runtime) -> Runtime:
        if isinstance(one, Runtime):
            return one
        if one not in self._made:
            self._made[one] = runtime_of(one)
        return self._made[one]

    def _names(self) -> set[str]:
        return {one if isinstance(one, str) else one.name for one in self._among}


_STRICTNESS: Sequence[SandboxDemand] = ("off", "preferred", "required")


def _demanding(workload: Workload, floor: SandboxDemand) -> Workload:
    """The workload, asking at least this much of a sandbox."""
    if _STRICTNESS.index(workload.demand) >= _STRICTNESS.index(floor):
        return workload
    return replace(workload, sandbox=floor)
