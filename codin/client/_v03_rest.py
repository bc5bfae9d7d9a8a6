"""HTTP+JSON as peers of A2A 0.3 have it: the resources below `/v1`, and errors that were never agreed upon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic_core import from_json

from codin import a2a
from codin.a2a import v03
from codin.client._http import refusal
from codin.client._rest import ResourceRequest, resource_request
from codin.client._v03 import OldBinding
from codin.errors import BadResponse
from codin.net import Response, Transport

__all__ = ["old_rest"]

_OF_404: Final[Mapping[str, type[a2a.A2AError]]] = {"GetExtendedAgentCard": a2a.ExtendedAgentCardNotConfigured}
_STATUSES: Final[Mapping[int, type[a2a.A2AError]]] = {
    400: a2a.InvalidRequest,
    409: a2a.TaskNotCancelable,
    415: a2a.ContentTypeNotSupported,
    422: a2a.InvalidParams,
    500: a2a.InternalError,
    501: a2a.UnsupportedOperation,
    502: a2a.InvalidAgentResponse,
}
"""What an answer with a message, and no code, stands for, as the official SDK for Python has it."""


def old_rest(transport: Transport, url: str, headers: Mapping[str, str]) -> OldBinding:
    """Calls the resources below one URL."""
    return OldBinding(transport, url, headers, _RestWire(url))


class _RestWire:
    dialect = v03.REST

    def __init__(self, url: str) -> None:
        self._url = url
        self._base = url.rstrip("/") + v03.REST_PREFIX

    def request(self, method: str, params: dict[str, Any]) -> ResourceRequest:
        given = v03.write_rest_request(method, params)
        return resource_request(self._base, v03.REST_ROUTES[method], given)

    def answer(self, method: str, response: Response) -> Any:
        if 200 <= response.status < 300:
            return self.event(response.body) if response.body else None
        raise refusal(response, self._url, _problem(method, response))

    def event(self, body: bytes) -> Any:
        try:
            answer: object = from_json(body)
        except ValueError as error:
            raise BadResponse(f"{self._url} did not answer in JSON: {error}") from None
        if (error := _coded(answer)) is not None:
            raise error
        return answer

    def read(self, method: str, answer: Any) -> Any:
        return v03.read_rest_result(method, answer)


def _coded(answer: object) -> a2a.A2AError | None:
    """The error that an object with a code and a message is, as JSON-RPC would have it."""
    fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    return a2a.from_rpc_error(fields) if isinstance(fields.get("code"), int) and "message" in fields else None


def _problem(method: str, response: Response) -> a2a.A2AError | None:
    """The error that a refusal tells of; None when a web server, and no agent, has said no."""
    try:
        answer: object = from_json(response.body)
    except ValueError:
        return None
    if (error := _coded(answer)) is not None:
        return error
    message = cast("dict[str, Any]", answer).get("message") if isinstance(answer, dict) else None
    if not isinstance(message, str):
        return None
    kind = _OF_404.get(method, a2a.TaskNotFound) if response.status == 404 else _STATUSES.get(response.status)
    if kind is a2a.UnsupportedOperation and "PushNotification" in method:
        kind = a2a.PushNotificationNotSupported
    return None if kind is None else kind(message)
