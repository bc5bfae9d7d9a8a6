"""A stand-in for E2B: the calls of its API and of the daemon in its machines that its client makes, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import urllib.parse
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from codin.errors import SandboxError
from tests.servers.cloud import KEY, Cloud, Machine, Run

__all__ = ["E2BCloud"]


class E2BCloud(Cloud):
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/sandboxes", self._list),
            web.post("/v2/sandboxes", self._create),
            web.post("/sandboxes/{id}/timeout", self._timeout),
            web.delete("/sandboxes/{id}", self._delete),
            web.get("/health", self._health),
            web.post("/process.Process/Start", self._start),
            web.post("/process.Process/SendInput", self._input),
            web.post("/process.Process/SendSignal", self._signal),
        ]

    # The API

    async def _list(self, request: web.Request) -> web.Response:
        _check(request)
        wanted = dict(urllib.parse.parse_qsl(request.query.get("metadata", "")))
        wanted = {urllib.parse.unquote(name): urllib.parse.unquote(value) for name, value in wanted.items()}
        machines = [one for one in self.machines.values() if wanted.items() <= one.asked.get("metadata", {}).items()]
        return web.json_response([_shown(machine) for machine in machines])

    async def _create(self, request: web.Request) -> web.Response:
        _check(request)
        asked = await request.json()
        if asked["templateID"] not in ("base", "mine"):
            return _refusal(404, f"template '{asked['templateID']}' not found")
        assert asked["secure"] is True if "secure" in asked else True
        machine = await self.create(asked, network=asked.get("allow_internet_access", True))
        return web.json_response(_shown(machine) | {"envdAccessToken": f"token-{machine.id}"}, status=201)

    async def _timeout(self, request: web.Request) -> web.Response:
        _check(request)
        if (machine := self.machines.get(request.match_info["id"])) is None:
            return _refusal(404, "sandbox not found")
        assert (await request.json())["timeout"] > 0
        machine.renewed += 1
        self.renewals.set()
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        _check(request)
        if not await self.delete(request.match_info["id"]):
            return _refusal(404, "sandbox not found")
        return web.Response(status=204)

    # The daemon of a machine

    def _machine(self, request: web.Request) -> Machine:
        machine = self.machines.get(request.headers.get("E2b-Sandbox-Id", ""))
        if machine is None:
            told = {
                "sandboxId": request.headers.get("E2b-Sandbox-Id"),
                "message": "The sandbox was not found",
                "code": 502,
            }
            raise web.HTTPBadGateway(text=json.dumps(told), content_type="application/json")
        if request.headers.get("X-Access-Token") != f"token-{machine.id}":
            raise web.HTTPUnauthorized
        return machine

    async def _health(self, request: web.Request) -> web.Response:
        self._machine(request)
        return web.Response(status=204)

    async def _start(self, request: web.Request) -> web.StreamResponse:
        machine = self._machine(request)
        asked = json.loads((await request.read())[5:])["process"]
        response = web.StreamResponse(headers={"Content-Type": "application/connect+json"})
        await response.prepare(request)

        async def tell(event: dict[str, Any]) -> None:
            with suppress(ConnectionError):  # whoever listened may be gone, and the process goes on
                await response.write(_enveloped(0, {"event": event}))

        async def begun(run: Run) -> None:
            await tell({"start": {"pid": run.pid}})

        async def said(data: bytes, stream: str) -> None:
            await tell({"data": {stream: base64.b64encode(data).decode()}})

        running = asyncio.ensure_future(machine.run([asked["cmd"], *asked["args"]], begun, said))
        try:
            code = await asyncio.shield(running)
        except (SandboxError, ExceptionGroup):
            if request.transport is not None:
                request.transport.abort()
            return response
        end = {"exited": code >= 0, "status": "ended"} | ({"exitCode": code} if code else {})
        await tell({"end": end})
        with suppress(ConnectionError):
            await response.write(_enveloped(2, {}))
        return response

    async def _input(self, request: web.Request) -> web.Response:
        asked = await request.json()
        run = self._machine(request).runs.get(int(asked["process"]["pid"]))
        if run is None:
            return _unknown()
        run.told.put_nowait(base64.b64decode(asked["input"]["stdin"]))
        return web.json_response({})

    async def _signal(self, request: web.Request) -> web.Response:
        asked = await request.json()
        run = self._machine(request).runs.get(int(asked["process"]["pid"]))
        if run is None:
            return _unknown()
        await run.kill()
        return web.json_response({})


def _check(request: web.Request) -> None:
    if (key := request.headers.get("X-API-Key")) != KEY:
        body = json.dumps({"code": 401, "message": f"Invalid API key: {key}"})
        raise web.HTTPUnauthorized(text=body, content_type="application/json")


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"code": status, "message": message}, status=status)


def _unknown() -> web.Response:
    return web.json_response({"code": "not_found", "message": "process not found"}, status=404)


def _enveloped(flags: int, message: dict[str, Any]) -> bytes:
    data = json.dumps(message).encode()
    return struct.pack(">BI", flags, len(data)) + data


def _shown(machine: Machine) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "templateID": machine.asked["templateID"],
        "sandboxID": machine.id,
        "clientID": "client",
        "envdVersion": "0.6.4",
        "metadata": machine.asked.get("metadata", {}),
        "startedAt": now,
        "endAt": now,
        "cpuCount": 2,
        "memoryMB": 512,
        "diskSizeMB": 128,
        "state": "running",
    }
