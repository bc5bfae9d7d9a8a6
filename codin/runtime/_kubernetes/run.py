"""One attempt: create, follow, delete. What is lost on the way is asked for again, as long as patience lasts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from codin.errors import CodinError, FileRefused, RuntimeUnavailable
from codin.runtime._job import Frames
from codin.runtime._kubernetes.api import Api, Away, NotThere, Refused
from codin.runtime._kubernetes.job import MOST_BACK, Plan, Settings, sent_to
from codin.runtime._kubernetes.log import PodLog, unpacked
from codin.runtime._protocol import Emit, Outcome, Workload
from codin.runtime._sandboxed import told
from codin.sandbox import Output, Stream
from codin.sandbox._protocol import FLOOD
from codin.sandbox._to_its_end import to_its_end

__all__ = ["attempt", "obstacle"]

_log = logging.getLogger("codin.runtime.kubernetes")
_GOING = 30.0  # seconds for a pod to go after its Job was deleted
_LAST_WORDS = 10.0  # seconds for the log to end behind the pod, and the other way round
_GRACE = 3.0  # seconds for the pod to keep the time by itself
_PAUSE = 0.2
_MARKED = 64  # bytes of the log for one of limits.output, at most: a line of it may tell a single one, of two streams
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError"})


async def attempt(api: Api, plan: Plan, workload: Workload, emit: Emit, settings: Settings) -> Outcome:
    """Run a plan to its end, and leave nothing of it. Raises as `Runtime._execute` does."""
    jobs = f"/apis/batch/v1/namespaces/{settings.namespace}/jobs"
    await api.connected()
    try:
        job = await _created(api, jobs, plan.job)
        if plan.policy is not None:
            policies = f"/apis/networking.k8s.io/v1/namespaces/{settings.namespace}/networkpolicies"
            await _created(api, policies, sent_to(job, plan.policy))
        # Last: the pod waits for them, and everything else is in place when it begins.
        for secret in plan.sent:
            await _created(api, f"/api/v1/namespaces/{settings.namespace}/secrets", sent_to(job, secret))
        return await _Run(api, plan, workload, emit, settings).follow()
    except Away as away:
        raise away.told() from away
    except NotThere as error:
        raise RuntimeUnavailable(error.message, hint=f"is there a namespace {settings.namespace!r}?") from error
    finally:
        await to_its_end(partial(_removed, api, jobs, plan.name, settings))


async def _created(api: Api, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create an object. When it was there already, the answer to the request before was lost."""
    name = body["metadata"]["name"]
    try:
        return await api.ask("POST", path, body)
    except CodinError as error:
        if "already exists" not in error.message:
            raise
    return await api.ask("GET", f"{path}/{name}")


async def _removed(api: Api, jobs: str, name: str, settings: Settings) -> None:
    """Delete the Job, and wait until its pod is gone; everything else is the cluster's to collect."""
    options = {"propagationPolicy": "Background"}
    try:
        with suppress(NotThere):
            await api.ask("DELETE", f"{jobs}/{name}", options)
        pods = _Pods(api, settings.namespace, name)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOING):
                while await pods.listed():
                    async for _ in pods.changes():
                        if not pods.known:
                            break
    except (CodinError, Away) as error:
        _log.warning("the Job %r could not be deleted and goes at its deadline: %s", name, error)


class _Pods:
    """The pods of a workload, as far as is known, and how that changes."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._selector = f"codin.workload={name}"
        self._version = ""
        self.known: dict[str, dict[str, Any]] = {}

    async def listed(self) -> dict[str, dict[str, Any]]:
        """Ask for all of them."""
        told = await self._api.ask("GET", self._path, labelSelector=self._selector)
        self._version = told["metadata"]["resourceVersion"]
        self.known = {pod["metadata"]["name"]: pod for pod in told["items"]}
        return self.known

    async def changes(self) -> AsyncGenerator[None]:
        """Each change since, until the watch breaks off; then they have to be listed anew."""
        more = {"watch": "true", "resourceVersion": self._version, "timeoutSeconds": "240"}
        try:
            async with self._api.stream(self._path, labelSelector=self._selector, **more) as lines:
                async for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    pod = cast("dict[str, Any]", event["object"])
                    if event["type"] == "DELETED":
                        self.known.pop(pod["metadata"]["name"], None)
                    elif event["type"] in ("ADDED", "MODIFIED"):
                        self.known[pod["metadata"]["name"]] = pod
                    yield
        except (Away, ValueError):
            await asyncio.sleep(_PAUSE)


class _Run:
    """Follows one workload in the cluster."""

    def __init__(self, api: Api, plan: Plan, workload: Workload, emit: Emit, settings: Settings) -> None:
        self._api = api
        self._plan = plan
        self._workload = workload
        self._emit = emit
        self._settings = settings
        self._pods = _Pods(api, settings.namespace, plan.name)
        self._pod: dict[str, Any] = {}
        """The pod as it was last seen; also when it is gone."""
        self._log = PodLog(plan.mark, plan.plain)
        self._frames = Frames(plan.nonce, workload.limits.output)
        self._room: dict[Stream, int] = {"stdout": workload.limits.output, "stderr": workload.limits.output}
        self._seen = 0
        self._read = 0
        """Bytes of the log that have been read."""
        self._tail = b""

    async def follow(self) -> Outcome:
        await self._begun()
        final = asyncio.create_task(self._until(_is_final))
        words = asyncio.create_task(self._listen())
        limit = self._workload.limits.time
        if limit is not None and self._plan.wrapped:
            limit += _GRACE
        try:
            await asyncio.wait({final, words}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not final.done() and not words.done():
                return Outcome(
                    exit_code=-9, ended="time", error=f"it did not end within {self._workload.limits.time} s"
                )
            if words.done() and (flood := words.result()) is not None:
                return flood
            if self._log.end is None or self._log.end.get("code", 0) in (-9, 137):
                # Only the cluster knows why it ended; or it is known, and the rest of the log is still to come.
                await asyncio.wait({final, words}, timeout=_LAST_WORDS)
            if final.done():
                final.result()
            if words.done() and (flood := words.result()) is not None:
                return flood
            for event in [event for output in self._log.rest() for event in self._frames.feed(output)]:
                await self._emit(event)
            for event in self._frames.rest():
                await self._emit(event)
            return await self._ending()
        finally:
            await _ended(final, words)

    async def _begun(self) -> None:
        """Wait until the container runs, or has run. Raises RuntimeUnavailable when it does not come to that."""
        try:
            async with asyncio.timeout(self._settings.start_within):
                await self._until(_has_begun)
        except TimeoutError:
            why = obstacle(self._pod) or await self._refused() or "no pod was made for it"
            raise RuntimeUnavailable(
                f"the pod did not begin within {self._settings.start_within:g} s: {why}",
                hint="KubernetesRuntime(start_within=…) waits longer",
            ) from None

    async def _until(self, enough: Callable[[dict[str, Any]], bool]) -> None:
        """Watch the pod until it is as it should be, or gone."""
        while True:
            await self._pods.listed()
            if self._look(enough):
                return
            async for _ in self._pods.changes():
                if self._look(enough):
                    return

    def _look(self, enough: Callable[[dict[str, Any]], bool]) -> bool:
        mine = self._pod.get("metadata", {}).get("name")
        if mine is None:
            self._pod = next(iter(self._pods.known.values()), self._pod)
        elif mine in self._pods.known:
            self._pod = self._pods.known[mine]
        else:
            # Gone, and whatever the Job makes in its place is not this attempt.
            self._pod = {**self._pod, "gone": True}
            return True
        if (
            self._pod
            and not _has_begun(self._pod)
            and (reason := _state(self._pod, "waiting").get("reason")) in _HOPELESS
        ):
            raise RuntimeUnavailable(
                f"the pod cannot begin: {reason}: {obstacle(self._pod)}",
                hint="is the image's name right, and may the cluster pull it?",
            )
        return bool(self._pod) and enough(self._pod)

    async def _refused(self) -> str:
        """Why no pod was made, in the words of the cluster's events; empty when it does not say, or not to us."""
        path = f"/api/v1/namespaces/{self._settings.namespace}/events"
        with suppress(CodinError):
            told = await self._api.ask("GET", path, fieldSelector=f"involvedObject.name={self._plan.name}", patience=0)
            return next((event["message"] for event in told["items"] if event.get("type") == "Warning"), "")
        return ""

    async def _listen(self) -> Outcome | None:
        """Read the log to its end; an outcome when it is too much."""
        path = f"/api/v1/namespaces/{self._settings.namespace}/pods/{self._pod['metadata']['name']}/log"
        until = time.monotonic() + self._api.patience
        while True:
            skip = self._read
            try:
                async with self._api.stream(path, follow="true") as log:
                    async for data in log.iter_any():
                        until = time.monotonic() + self._api.patience
                        new, skip = data[skip:], max(0, skip - len(data))
                        self._read += len(new)
                        if (flood := await self._hear(new)) is not None or self._log.end is not None:
                            return flood
            except (NotThere, Refused):  # the pod is gone, or its container never ran
                return None
            except Away as away:
                if time.monotonic() > until:
                    raise away.told() from away
            else:
                if _is_final(self._pod):
                    return None
            await asyncio.sleep(_PAUSE)

    async def _hear(self, data: bytes) -> Outcome | None:
        for output in self._log.feed(data):
            self._seen += len(output.data)
            piece = output.data[: max(0, self._room[output.stream])]
            self._room[output.stream] -= len(piece)
            if output.stream == "stderr":
                self._tail = (self._tail + piece)[-500:]
            for event in self._frames.feed(Output(output.stream, piece)):
                await self._emit(event)
        limit = self._workload.limits.output
        if self._seen > FLOOD * limit or self._read > _MARKED * limit + 2 * MOST_BACK:
            return Outcome(exit_code=-9, ended="output", error="it wrote far more than limits.output")
        return None

    async def _ending(self) -> Outcome:
        limits, state = self._workload.limits, _state(self._pod, "terminated")
        said = self._log.end or {}
        if state.get("reason") == "OOMKilled":
            return Outcome(exit_code=-9, ended="memory", error=f"the pod was killed at {limits.memory} bytes")
        if not said:
            if (lost := await self._lost(state)) is not None:
                return lost
            said = {"code": state.get("exitCode", 1)}
        code = said["code"] if isinstance(said.get("code"), int) else 1
        code = 128 - code if 128 < code < 193 else code
        ended = said.get("ended") if said.get("ended") in ("time", "output", "killed") else "exited"
        if isinstance(path := said.get("refused"), str) and path:
            raise FileRefused("the artifacts are larger than the log of a pod, or than limits.disk", path=path)
        line = self._tail.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        error = "" if code == 0 and ended == "exited" else line or state.get("message") or f"exit code {code}"
        if ended == "time":
            error = f"it did not end within {limits.time} s"
        if self._plan.nonce and not self._frames.ended and self._room["stdout"] <= 0:
            error = error or "what it printed left no room for its result: limits.output bounds both together here"
        packed, patterns = bytes(self._log.packed), self._workload.artifacts
        artifacts = await asyncio.to_thread(unpacked, packed, patterns, limits.disk)
        outcome = Outcome(exit_code=code, error=error, ended=cast("Any", ended), artifacts=artifacts)
        return told(outcome, self._frames) if self._plan.nonce else outcome

    async def _lost(self, state: Mapping[str, Any]) -> Outcome | None:
        """What it is when a pod ended that could not say how.

        Raises:
            RuntimeUnavailable: it is not the workload's fault.
        """
        status = self._pod.get("status", {})
        why = f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")
        if status.get("reason") == "Evicted" and "exceeds" in why:
            return Outcome(exit_code=-9, ended="killed", error=f"the pod was evicted: {why}")
        if status.get("reason") == "DeadlineExceeded":
            return Outcome(exit_code=-9, ended="time", error=why)
        deleted = "gone" in self._pod or "deletionTimestamp" in self._pod.get("metadata", {})
        if state and not deleted and not status.get("reason"):
            if self._plan.told and state.get("exitCode", 1) == 0:
                return Outcome(exit_code=1, error="the log of the pod does not say how it ended")
            return None
        if (verdict := await self._verdict()) == "DeadlineExceeded":
            return Outcome(exit_code=-9, ended="time", error=f"the cluster stopped it: {verdict}")
        raise RuntimeUnavailable(
            f"the pod was lost while it ran: {why or 'somebody deleted it'}",
            hint="whether it acted is unknown; a workload that is idempotent may say retries",
        )

    async def _verdict(self) -> str:
        """Why the Job failed, if it did."""
        path = f"/apis/batch/v1/namespaces/{self._settings.namespace}/jobs/{self._plan.name}"
        with suppress(NotThere):
            told = _conditions(await self._api.ask("GET", path))
            return next((str(one.get("reason", "")) for one in told if one["type"] == "Failed"), "")
        return ""


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _container(pod: Mapping[str, Any]) -> dict[str, Any]:
    statuses: list[dict[str, Any]] = pod.get("status", {}).get("containerStatuses") or []
    return statuses[0] if statuses else {}


def _state(pod: Mapping[str, Any], which: str) -> dict[str, Any]:
    state: dict[str, Any] = _container(pod).get("state") or {}
    return cast("dict[str, Any]", state.get(which) or {})


def _conditions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", body.get("status", {}).get("conditions") or [])


def _has_begun(pod: Mapping[str, Any]) -> bool:
    return "running" in (_container(pod).get("state") or {}) or _is_final(pod)


def _is_final(pod: Mapping[str, Any]) -> bool:
    phase = pod.get("status", {}).get("phase")
    return bool(_state(pod, "terminated")) or phase in ("Succeeded", "Failed") or "gone" in pod


def obstacle(pod: Mapping[str, Any]) -> str:
    """What keeps a pod from beginning."""
    waiting = _state(pod, "waiting")
    for condition in _conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return str(waiting.get("message") or waiting.get("reason", ""))
