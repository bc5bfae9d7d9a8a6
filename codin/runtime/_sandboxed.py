"""A workload in a sandbox: files in, command, frames, artifacts out."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

from codin.errors import FileRefused, RuntimeUnavailable, SandboxClosed, SandboxUnavailable
from codin.runtime._job import Frames, Job, job_of, wanted
from codin.runtime._protocol import Command, Emit, Outcome, Workload
from codin.sandbox import Guarantee, Policy, Sandbox
from codin.sandbox._execution import whole

__all__ = ["policy_of", "run_in"]


def policy_of(workload: Workload) -> Policy:
    """What the sandbox of a workload has to keep: everything when it is required, what can be had when preferred."""
    policy = Policy(limits=workload.limits, network=workload.network, env=workload.env)
    if workload.demand == "required":
        return policy
    return Policy(limits=workload.limits, network=workload.network, env=workload.env, demands=frozenset[Guarantee]())


async def run_in(sandbox: Sandbox, workload: Workload, emit: Emit) -> Outcome:
    """Run a workload in a sandbox that is open. Raises RuntimeUnavailable when the sandbox goes away."""
    job = job_of(workload)
    frames = Frames(job.nonce, workload.limits.output)
    try:
        for path, content in job.files.items():
            await sandbox.put(path, content)
        async with sandbox.start(job.command, stdin=_input(workload, job)) as execution:
            async for output in whole(execution):
                for event in frames.feed(output):
                    await emit(event)
            for event in frames.rest():
                await emit(event)
            done = await execution.result()
        artifacts = await _artifacts(sandbox, workload)
    except (SandboxClosed, SandboxUnavailable) as error:
        raise RuntimeUnavailable(f"the {sandbox.kind} sandbox went away: {error.message}", hint=error.hint) from error
    outcome = Outcome.of(done, artifacts=artifacts, sandbox=sandbox.kind, unenforced=sandbox.unenforced)
    if not job.nonce:
        return replace(outcome, last=done.last)
    return told(outcome, frames)


def _input(workload: Workload, job: Job) -> bytes | AsyncIterable[bytes]:
    if not isinstance(workload, Command) or workload.feed is None:
        return job.stdin
    return _in_turn(job.stdin, workload.feed)


async def _in_turn(first: bytes, then: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in then:
        yield chunk


def told(outcome: Outcome, frames: Frames) -> Outcome:
    """The outcome of a guest: its own word on the value and the error, if it came to say one."""
    if not frames.ended and not outcome.error:
        return replace(outcome, error="it ended without a result")
    return replace(outcome, value=frames.value, error=frames.error or outcome.error, raised=frames.raised)


async def _artifacts(sandbox: Sandbox, workload: Workload) -> dict[str, bytes]:
    if not workload.artifacts:
        return {}
    asked = [file for file in await sandbox.list() if not file.folder and wanted(file.path, workload.artifacts)]
    told, fetched = _Room(workload.limits.disk), _Room(workload.limits.disk)
    for file in asked:
        told.take(file.path, file.size)
    found: dict[str, bytes] = {}
    for file in asked:
        content = await sandbox.get(file.path)
        fetched.take(file.path, len(content))  # a size is what the sandbox says, and a file may have grown
        found[file.path] = content
    return found


class _Room:
    """What all artifacts together may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def take(self, path: str, size: int) -> None:
        """Raises FileRefused when there is no room for it."""
        self._left -= max(0, size)
        if self._left < 0:
            raise FileRefused(
                f"the artifacts are larger than {self._most} bytes", path=path, hint="raise limits.disk of the workload"
            )
