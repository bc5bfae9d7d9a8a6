"""A stand-in for Daytona: the calls of its API and of the daemon in its machines that its client makes, over HTTP."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSMsgType, web

from codin.errors import SandboxError
from tests.servers.cloud import KEY, Cloud, Machine, Run

__all__ = ["DaytonaCloud"]

# What a daemon does for a terminal, in the machine: both directions at once, so that neither waits for the other.
TERMINAL = """
import os, pty, sys, threading
child, terminal = pty.fork()
if child == 0:
    os.execvp("bash", ["bash", "--norc", "-i"])
def type_in():
    while data := os.read(0, 65536):
        while data:
            data = data[os.write(terminal, data):]
threading.Thread(target=type_in, daemon=True).start()
try:
    while data := os.read(terminal, 65536):
        os.write(1, data)
except OSError:
    pass
sys.stdout.flush()
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os._exit(code if code >= 0 else 128 - code)
"""


class DaytonaCloud(Cloud):
    terminals: dict[str, Run]

    def routes(self) -> list[web.RouteDef]:
        self.terminals = {}
        return [
            web.get("/api/sandbox", self._list),
            web.post("/api/sandbox", self._create),
            web.get("/api/sandbox/{id}", self._get),
            web.delete("/api/sandbox/{id}", self._delete),
            web.post("/api/sandbox/{id}/last-activity", self._activity),
            web.get("/api/snapshots/{name}", self._snapshot),
            web.get("/toolbox/{id}/process/pty/create-connect", self._terminal),
            web.delete("/toolbox/{id}/process/pty/{session}", self._kill),
        ]

    # The API

    async def _list(self, request: web.Request) -> web.Response:
        _check(request)
        return web.json_response({"items": [self._shown(one) for one in self.machines.values()], "nextCursor": None})

    async def _create(self, request: web.Request) -> web.Response:
        _check(request)
        asked = await request.json()
        if asked.get("snapshot") not in (None, "mine", "large"):
            return _refusal(404, f"Snapshot {asked['snapshot']} not found")
        machine = await self.create(asked, network=not asked.get("networkBlockAll", False))
        return web.json_response(self._shown(machine))

    async def _get(self, request: web.Request) -> web.Response:
        _check(request)
        return web.json_response(self._shown(self._machine(request)))

    async def _delete(self, request: web.Request) -> web.Response:
        _check(request)
        machine = self._machine(request)
        await self.delete(machine.id)
        return web.json_response(self._shown(machine) | {"state": "destroyed"})

    async def _activity(self, request: web.Request) -> web.Response:
        _check(request)
        self._machine(request).renewed += 1
        self.renewals.set()
        return web.Response(status=201)

    async def _snapshot(self, request: web.Request) -> web.Response:
        _check(request)
        now = datetime.now(UTC).isoformat()
        size = {"mine": 1, "large": 8}.get(request.match_info["name"])
        if size is None:
            return _refusal(404, "Snapshot not found")
        told = {"id": "1", "general": True, "name": request.match_info["name"], "state": "active", "size": 1}
        told |= {"entrypoint": None, "cpu": size, "gpu": 0, "mem": size, "disk": size, "errorReason": None}
        told |= {"createdAt": now, "updatedAt": now, "lastUsedAt": now, "sourceSandboxId": None}
        return web.json_response(told)

    def _machine(self, request: web.Request) -> Machine:
        wanted = request.match_info["id"]
        for machine in self.machines.values():
            if wanted in (machine.id, machine.asked.get("name")):
                return machine
        raise web.HTTPNotFound(
            text=json.dumps({"statusCode": 404, "message": f"Sandbox with ID or name {wanted} not found"}),
            content_type="application/json",
        )

    # The daemon of a machine

    async def _terminal(self, request: web.Request) -> web.StreamResponse:
        _check(request)
        machine = self._machine(request)
        socket = web.WebSocketResponse(protocols=["X-Daytona-Pty-Exit-Control"], max_msg_size=0)
        await socket.prepare(request)

        async def begun(run: Run) -> None:
            self.terminals[request.query["id"]] = run
            listening.set_result(run)
            await socket.send_json({"type": "control", "status": "connected"})

        async def said(data: bytes, stream: str) -> None:
            with suppress(ConnectionError):  # whoever listened may be gone, and the process goes on
                await socket.send_bytes(data)

        listening: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(machine.run(["python3", "-c", TERMINAL], begun, said))
        hearing = asyncio.ensure_future(_hear(socket, listening))
        try:
            code = await asyncio.shield(running)
        except (SandboxError, ExceptionGroup):
            if request.transport is not None:
                request.transport.abort()
            return socket
        finally:
            self.terminals.pop(request.query["id"], None)
            hearing.cancel()
        with suppress(ConnectionError):
            await socket.send_json({"type": "control", "status": "exited", "exitCode": code})
            await socket.close(code=1000, message=json.dumps({"exitCode": code}).encode())
        return socket

    async def _kill(self, request: web.Request) -> web.Response:
        _check(request)
        self._machine(request)
        if (run := self.terminals.get(request.match_info["session"])) is None:
            return _refusal(404, "PTY session not found")
        await run.kill()
        return web.json_response({"message": "killed"})

    def _shown(self, machine: Machine) -> dict[str, Any]:
        asked = machine.asked
        return {
            "id": machine.id,
            "organizationId": "ours",
            "name": asked["name"],
            "user": asked.get("user", "daytona"),
            "env": {},
            "labels": asked.get("labels", {}),
            "public": False,
            "networkBlockAll": asked.get("networkBlockAll", False),
            "kvm": False,
            "target": "us",
            "cpu": asked.get("cpu", 1),
            "gpu": 0,
            "memory": asked.get("memory", 1),
            "disk": asked.get("disk", 3),
            "state": "started",
            "toolboxProxyUrl": f"{self.url}/toolbox",
        }


async def _hear(socket: web.WebSocketResponse, listening: asyncio.Future[Run]) -> None:
    run = await asyncio.shield(listening)
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            data: str | bytes = message.data
            run.told.put_nowait(data.encode() if isinstance(data, str) else data)


def _check(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        told = {"statusCode": 401, "message": f"Invalid key: {request.headers.get('Authorization')}"}
        raise web.HTTPUnauthorized(text=json.dumps(told), content_type="application/json")


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
