"""JSON-RPC as peers of A2A 0.3 have it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any, cast

from pydantic_core import from_json

from codin import a2a
from codin.a2a import v03
from codin.client._http import encoded, refusal
from codin.client._jsonrpc import error_in
from codin.client._rest import ResourceRequest
from codin.client._v03 import OldBinding
from codin.errors import BadResponse
from codin.net import Response, Transport

__all__ = ["old_jsonrpc"]


def old_jsonrpc(transport: Transport, url: str, headers: Mapping[str, str]) -> OldBinding:
    """Calls the methods at one URL."""
    return OldBinding(transport, url, headers, _JsonRpcWire(url))


class _JsonRpcWire:
    dialect = v03.RPC

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = count(1)

    def request(self, method: str, params: dict[str, Any]) -> ResourceRequest:
        old, given = v03.write_request(method, params)
        return ResourceRequest("POST", self._url, a2a.call_bytes(b"%d" % next(self._ids), old, encoded(given)))

    def answer(self, method: str, response: Response) -> Any:
        if response.status == 200:
            return self.event(response.body)
        raise refusal(response, self._url, error_in(partial(self.event, response.body)))

    def event(self, body: bytes) -> Any:
        try:
            answer: object = from_json(body)
        except ValueError as error:
            raise BadResponse(f"{self._url} did not answer in JSON: {error}") from None
        fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
        if isinstance(fields.get("error"), dict):
            raise a2a.from_rpc_error(fields["error"])
        if not fields:
            raise BadResponse(f"{self._url} answered neither a result nor an error.")
        return fields.get("result")  # some leave a null out

    def read(self, method: str, answer: Any) -> Any:
        return v03.read_result(method, answer)
