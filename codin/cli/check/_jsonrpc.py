"""JSON-RPC as bytes. Spec 9."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio

from codin import a2a
from codin.cli.check._answer import Answer
from codin.cli.check._json import Json, is_object
from codin.cli.check._wire import STREAMS, Caller, Enough, HttpWire, refusal_in

__all__ = ["JsonRpcWire"]

_JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


class JsonRpcWire(HttpWire):
    """Asks one address by its methods."""

    binding = "JSONRPC"

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.rpc_code

    async def _ask(
        self,
        method: str,
        params: Json,
        tenant: str,
        caller: Caller,
        fields: Mapping[str, str],
        enough: Enough,
        begun: anyio.Event | None,
    ) -> Answer:
        if tenant:
            params["tenant"] = tenant
        body = json.dumps({"jsonrpc": "2.0", "id": "check-1", "method": method, "params": params}).encode()
        fields = {**_JSON, **fields}
        if method in STREAMS:
            return await self.opened("POST", self.url, body, fields, caller, enough, begun)
        return await self.request("POST", self.url, body, fields, caller)

    async def post(self, body: bytes | Json | list[Any], **headers: str) -> Answer:
        """A body as it is given, under the usual headers or others."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {**_JSON, **self.caller.plain, "A2A-Version": "1.0"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.request("POST", self.url, content, fields)

    def read(self, answer: Answer, document: Any) -> None:
        match document:
            case {"error": error} if is_object(error) and isinstance(error.get("code"), int):
                answer.refusal = refusal_in(error, "data")
            case {"result": result}:
                answer.result = result
            case _:
                answer.fault = "no answer of JSON-RPC"
