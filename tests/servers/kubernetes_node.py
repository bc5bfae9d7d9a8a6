"""A node of a cluster that needs no container engine: it stands in for the kubelet, and runs pods as processes.

What a pod's spec asks for is real where a process can have it: the volumes, the environment, the command, the
memory, the log, the exit code, probes, the end by SIGTERM. An image is a name and what it would run; its file system
is that of this machine, to read. The network is this machine's.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["IMAGES", "Node"]

IMAGES = {"codin/python": ["python3"], "codin/tools": ["echo", "I am what the image runs"]}
"""The images that can be pulled, and what they run."""

_TOPS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", sys.base_prefix)
_MEMORY = Path("/sys/fs/cgroup/memory")
_BEAT = 5.0


def kills_for_memory() -> bool:
    """Whether memory limits can be kept here."""
    return (_MEMORY / "memory.limit_in_bytes").exists()


class Node:
    """Runs in a thread of its own until `stop`."""

    def __init__(self, server: str, token: str, folder: Path, certificate: tuple[Path, Path]) -> None:
        self.folder = folder
        self.pulls = True
        """False, and no image is ever there."""
        self._server = server
        self._token = token
        self._certificate = certificate
        self._loop = asyncio.new_event_loop()
        self._stopped: asyncio.Event | None = None
        self._thread = Thread(target=self._work, name="kubelet", daemon=True)
        self._pods: dict[str, _Pod] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None
        self.address = _address()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        def stop() -> None:
            assert self._stopped is not None
            self._stopped.set()

        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(stop)
            self._thread.join(30)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    def running(self) -> list[str]:
        """The names of the pods that run."""
        return [pod.name for pod in list(self._pods.values()) if pod.process is not None]

    def evict(self, name: str, message: str) -> None:
        """End a pod as a kubelet does that has too little of something."""
        self._do(self._evict(name, message))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        told: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        told.result(30)

    async def _evict(self, name: str, message: str) -> None:
        pod = next(pod for pod in self._pods.values() if pod.name == name)
        pod.evicted = message
        await pod.end(0)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        port = await self._logs()
        connector = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(
            self._server, headers={"Authorization": f"Bearer {self._token}"}, connector=connector, read_bufsize=2**21
        ) as self._http:
            chores = [asyncio.create_task(self._beats(port)), asyncio.create_task(self._watch())]
            await self._stopped.wait()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await asyncio.gather(*(pod.end(0) for pod in list(self._pods.values())), return_exceptions=True)
            left = list(self._chores)
            for chore in left:
                chore.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()  # to close it would take until the other side has done so too
        await self._runner.cleanup()
        for _ in range(3):  # what was aborted is let go in the next turns of the loop
            await asyncio.sleep(0)

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """One request to the API server."""
        assert self._http is not None
        kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        async with self._http.request(method, path, json=body, params=query, headers={"Content-Type": kind}) as answer:
            told = await answer.json()
            if answer.status >= 400:
                raise aiohttp.ClientError(f"{answer.status} {path}: {told.get('message')}")
            return told

    async def _beats(self, port: int) -> None:
        """Be a node that is well."""
        name = {"metadata": {"name": "node", "labels": {"kubernetes.io/hostname": "node"}}}
        while True:
            room = {"cpu": "16", "memory": "16Gi", "pods": "200", "ephemeral-storage": "100Gi"}
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}
            status = {
                "capacity": room,
                "allocatable": room,
                "conditions": [ready],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            }
            with contextlib.suppress(aiohttp.ClientError, OSError):
                with contextlib.suppress(aiohttp.ClientError):
                    await self.ask("POST", "/api/v1/nodes", name)
                await self.ask("PATCH", "/api/v1/nodes/node/status", {"status": status})
                await asyncio.sleep(_BEAT)
                continue
            await asyncio.sleep(0.2)

    async def _watch(self) -> None:
        """Do what the API server says about the pods of this node."""
        assert self._http is not None
        mine = {"fieldSelector": "spec.nodeName=node"}
        while True:
            try:
                listed = await self.ask("GET", "/api/v1/pods", **mine)
                there = {pod["metadata"]["uid"] for pod in listed["items"]}
                for uid in self._pods.keys() - there:
                    self._spawn(self._pods[uid].end(0))
                for pod in listed["items"]:
                    self._heed("MODIFIED", pod)
                version = listed["metadata"]["resourceVersion"]
                query = {**mine, "watch": "true", "resourceVersion": version}
                no_end = aiohttp.ClientTimeout(total=None)
                async with self._http.get("/api/v1/pods", params=query, timeout=no_end) as lines:
                    async for line in lines.content:
                        event = json.loads(line)
                        self._heed(event["type"], event["object"])
            except (aiohttp.ClientError, OSError, ValueError, KeyError):
                await asyncio.sleep(0.2)

    def _heed(self, kind: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"].get("uid", "")
        known = self._pods.get(uid)
        if known is None and kind != "DELETED" and pod["status"].get("phase") == "Pending":
            known = self._pods[uid] = _Pod(self, pod)
            known.task = self._spawn(known.live(lambda: self._pods.pop(uid, None)))
        if known is None:
            if "deletionTimestamp" in pod["metadata"] and kind != "DELETED":
                self._spawn(self.gone(pod))
        elif kind == "DELETED":
            self._spawn(known.end(0))
        elif "deletionTimestamp" in pod["metadata"] and not known.ending:
            known.ending = True
            self._spawn(known.end(pod["metadata"].get("deletionGracePeriodSeconds", 1)))

    async def gone(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        with contextlib.suppress(aiohttp.ClientError):
            await self.ask("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", options)

    async def _logs(self) -> int:
        """Serve what the API server asks a kubelet for; gives the port."""
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._log)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return self._runner.addresses[0][1]

    async def _log(self, request: web.Request) -> web.StreamResponse:
        folder = self.folder / "logs" / request.match_info["namespace"] / request.match_info["pod"]
        if not (folder / "log").exists():
            return web.Response(status=404, text="no such container")
        answer = web.StreamResponse()
        await answer.prepare(request)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a log is text, whatever was written
        with (folder / "log").open("rb") as log:
            while True:
                ended = (folder / "ended").exists()
                while data := log.read(65536):
                    with contextlib.suppress(ConnectionError):
                        await answer.write(decoder.decode(data).encode())
                if ended or request.query.get("follow") != "true":
                    break
                await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            await answer.write_eof()
        return answer


class _Pod:
    """One pod of this node."""

    def __init__(self, node: Node, spec: dict[str, Any]) -> None:
        self.node = node
        self.name: str = spec["metadata"]["name"]
        self.process: asyncio.subprocess.Process | None = None
        self.ending = False
        self.evicted = ""
        self.task: asyncio.Task[None] | None = None
        self._spec = spec
        self._namespace: str = spec["metadata"]["namespace"]
        self._container: dict[str, Any] = spec["spec"]["containers"][0]
        self._folder = node.folder / "pods" / spec["metadata"]["uid"]
        self._logs = node.folder / "logs" / self._namespace / self.name
        self._group = _MEMORY / f"{node.folder.name}-{spec['metadata']['uid']}"
        self._started = ""
        self._restarts = 0
        self._stop = asyncio.Event()

    async def live(self, forget: Callable[[], object]) -> None:
        """From beginning to end."""
        try:
            if await self._pull():
                await self._lay_out()
                await self._run()
        except asyncio.CancelledError:
            pass
        finally:
            forget()
            shutil.rmtree(self._folder, ignore_errors=True)
            if "deletionTimestamp" in self._spec["metadata"] or self.ending:
                await self.node.gone(self._spec)

    async def end(self, grace: float) -> None:
        """SIGTERM, and SIGKILL when it takes longer than that."""
        self._stop.set()
        process = self.process
        if process is not None and process.returncode is None:
            for child in _children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await process.wait()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            return
        if self.task is not None:
            self.task.cancel()

    async def _pull(self) -> bool:
        """Have its image; what a kubelet says of one that cannot be had."""
        image = self._container["image"].partition(":")[0]
        reason = "ErrImagePull"
        while image not in IMAGES or not self.node.pulls:
            waiting = {"reason": reason, "message": f'pull access denied for "{image}", or there is no such image'}
            await self._tell("Pending", {"waiting": waiting})
            reason = "ImagePullBackOff"
            await asyncio.sleep(0.2)
        return True

    async def _lay_out(self) -> None:
        for volume in self._spec["spec"].get("volumes", []):
            place = self._folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            for source in volume.get("projected", {}).get("sources", []):
                for key, value in (await self._secret(source["secret"]["name"])).items():
                    (place / key).write_bytes(value)

    async def _secret(self, name: str) -> dict[str, bytes]:
        """A Secret; a kubelet waits for one that is not there."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                told = await self.node.ask("GET", f"/api/v1/namespaces/{self._namespace}/secrets/{name}")
                data: dict[str, str] = told.get("data") or {}
                return {key: base64.b64decode(value) for key, value in data.items()}
            await asyncio.sleep(0.05)

    async def _env(self) -> dict[str, str]:
        env = {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin", "HOSTNAME": self.name}
        for one in self._container.get("env", []):
            source = one.get("valueFrom", {}).get("secretKeyRef")
            if source is None:
                env[one["name"]] = one.get("value", "")
            else:
                env[one["name"]] = (await self._secret(source["name"]))[source["key"]].decode()
        return env

    async def _run(self) -> None:
        image = IMAGES[self._container["image"].partition(":")[0]]
        given: list[str] = self._container.get("args") or []
        argv: list[str] = [*(self._container.get("command") or ([] if given else image)), *given]
        argv = [part.replace("$$", "$") for part in argv]
        self._logs.mkdir(parents=True, exist_ok=True)
        (self._logs / "ended").unlink(missing_ok=True)
        memory = self._container["resources"]["limits"]["memory"]
        enter = self._enter(memory)
        with (self._logs / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *enter, *self._room(await self._env()), "--", *argv, stdin=-3, stdout=log, stderr=log
            )
        self._started = _now()
        probing = asyncio.create_task(self._probe())
        try:
            await self._tell("Running", {"running": {"startedAt": self._started}}, ready=not self._probed())
            await self.process.wait()
        finally:
            probing.cancel()
        await self._told(self.process.returncode or 0)

    async def _told(self, returned: int) -> None:
        """Say how it ended."""
        killed = self._for_memory()
        code = 137 if killed else returned if returned >= 0 else 128 - returned
        reason = "OOMKilled" if killed else "Completed" if code == 0 else "Error"
        self.process = None
        (self._logs / "ended").touch()
        times = {"startedAt": self._started, "finishedAt": _now()}
        state = {"terminated": {"exitCode": code, "reason": reason, **times}}
        await self._tell("Succeeded" if code == 0 else "Failed", state)

    def _enter(self, memory: str) -> list[str]:
        """What puts it below its limit of memory."""
        if not kills_for_memory():
            return []
        self._group.mkdir()
        (self._group / "memory.limit_in_bytes").write_text(memory)
        with contextlib.suppress(OSError):
            (self._group / "memory.memsw.limit_in_bytes").write_text(memory)
        return ["sh", "-c", f'echo 0 > {self._group}/cgroup.procs; exec "$@"', "sh"]

    def _for_memory(self) -> bool:
        if not self._group.exists():
            return False
        killed = "oom_kill 0" not in (self._group / "memory.oom_control").read_text()
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._group.rmdir()
                break
        return killed

    def _room(self, env: Mapping[str, str]) -> list[str]:
        """What it sees, as arguments of bubblewrap."""
        seen = [part for top in _TOPS if Path(top).exists() for part in ("--ro-bind", top, top)]
        mounts: list[str] = []
        for mount in self._container.get("volumeMounts", []):
            kind = "--ro-bind" if mount.get("readOnly") else "--bind"
            mounts += [kind, str(self._folder / mount["name"]), mount["mountPath"]]
        own = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent", "--clearenv"]
        who = ["--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
        given = [part for name, value in env.items() for part in ("--setenv", name, value)]
        where = ["--chdir", self._container.get("workingDir", "/")]
        return [_program("bwrap"), *own, *seen, *who, *mounts, "--remount-ro", "/", *given, *where]

    def _probed(self) -> bool:
        return "readinessProbe" in self._container

    async def _probe(self) -> None:
        """Ask whether it is ready, and say so when that changes."""
        if not self._probed():
            return
        probe, was = self._container["readinessProbe"]["httpGet"], False
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                is_ready = await self._answers(probe["port"], probe["path"])
                if is_ready != was:
                    was = is_ready
                    await self._tell("Running", {"running": {"startedAt": self._started}}, ready=is_ready)
            await asyncio.sleep(0.1)

    async def _answers(self, port: int, path: str) -> bool:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://{self.node.address}:{port}{path}") as answer:
                return answer.status < 400
        except (aiohttp.ClientError, OSError):
            return False

    async def _tell(self, phase: str, state: dict[str, Any], ready: bool = False) -> None:
        """Bring the status to the API server; one that is away is asked again."""
        status: dict[str, Any] = {
            "phase": "Failed" if self.evicted else phase,
            "startTime": self._started or _now(),
            "podIP": self.node.address,
            "podIPs": [{"ip": self.node.address}],
            "conditions": [{"type": kind, "status": str(ready)} for kind in ("Ready", "ContainersReady")],
        }
        if self.evicted:
            status |= {"reason": "Evicted", "message": self.evicted}
        container = {"name": self._container["name"], "image": self._container["image"], "imageID": "", "ready": ready}
        status["containerStatuses"] = [{**container, "restartCount": self._restarts, "state": state}]
        path = f"/api/v1/namespaces/{self._namespace}/pods/{self.name}/status"
        while True:
            try:
                body = {"metadata": {"uid": self._spec["metadata"]["uid"]}, "status": status}
                await self.node.ask("PATCH", path, body)
            except (aiohttp.ClientError, OSError) as error:
                if str(error).startswith(("404", "409")):
                    return
                await asyncio.sleep(0.2)
            else:
                return


def _program(name: str) -> str:
    servers = os.environ.get("CODIN_SERVERS")
    found = shutil.which(name, path=f"{servers}/usr/bin:{os.environ['PATH']}" if servers else None)
    assert found is not None, f"no {name}"
    return found


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address() -> str:
    """An address of this machine that is not the loopback, which the API server takes for no pod."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]
    return "127.0.0.1"
