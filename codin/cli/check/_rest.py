"""HTTP+JSON as bytes. Spec 11."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import anyio

from codin import a2a
from codin.cli.check._answer import Answer
from codin.cli.check._json import Json, is_object
from codin.cli.check._wire import STREAMS, Caller, Enough, HttpWire, refusal_in

__all__ = ["RestWire"]

_A2A_JSON = "application/a2a+json"
_FIELD = re.compile(r"{(\w+)}")


class RestWire(HttpWire):
    """Asks for the resources below one address."""

    binding = "HTTP+JSON"

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.http_status

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
        verb, path = a2a.ROUTES[method]
        return await self.go(verb, path, params, fields, method, tenant, caller, enough, begun)

    async def go(
        self,
        verb: str,
        path: str,
        params: Json,
        fields: Mapping[str, str],
        method: str = "",
        tenant: str | None = None,
        caller: Caller | None = None,
        enough: Enough = lambda event: True,
        begun: anyio.Event | None = None,
    ) -> Answer:
        """A verb and a path with its fields; what is left of the parameters is the body of a POST or the query.

        Args:
            method: says whether a stream may come back.
        """
        tenant = self.tenant if tenant is None else tenant
        path = _FIELD.sub(lambda field: quote(str(params.pop(field[1])), safe=""), path)
        url = f"{self._below(tenant)}{path}"
        streams = method in STREAMS
        fields = {"Accept": f"{_A2A_JSON}, application/json, text/event-stream", **fields}
        body = b""
        if verb == "POST":
            body = json.dumps(params).encode()
            fields = {"Content-Type": _A2A_JSON, **fields}
        elif params:
            url += f"?{urlencode({name: _word(value) for name, value in params.items()})}"
        if streams:
            return await self.opened(verb, url, body, fields, caller or self.caller, enough, begun)
        return await self.request(verb, url, body, fields, caller)

    async def post(self, path: str, body: bytes, **headers: str) -> Answer:
        """A body as it is given."""
        fields = {"Content-Type": _A2A_JSON, "Accept": _A2A_JSON, **self.caller.plain, "A2A-Version": "1.0"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.request("POST", f"{self._below(self.tenant)}{path}", body, fields)

    def _below(self, tenant: str) -> str:
        base = self.url.rstrip("/")
        return f"{base}/{quote(tenant, safe='')}" if tenant else base

    def read(self, answer: Answer, document: Any) -> None:
        if answer.status < 400:
            answer.result = {} if document is None and not answer.body else document
            answer.fault = "no JSON" if answer.result is None else None
            return
        match document:
            case {"error": error} if is_object(error):
                answer.refusal = refusal_in(error, "details")
            case _:
                answer.fault = "no error of HTTP+JSON"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
