"""The receiving end of push notifications: an ASGI application that looks at each delivery before it hands it on."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Container, Mapping
from hmac import compare_digest
from time import time
from typing import NamedTuple

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from codin import a2a
from codin.a2a import v03
from codin.errors import ConfigError, TokenRefused
from codin.server._http import answer, declares, headers_of, read_body
from codin.trust import NOTIFICATION_HEADER, Keys, UsedTokens, verify_notification

__all__ = ["Notification", "Webhook"]

_logger = logging.getLogger("codin.server")

_MEDIA_TYPES = frozenset({b"application/a2a+json", b"application/json"})
_SIGNATURE = NOTIFICATION_HEADER.lower().encode()
_LEEWAY = 65.0  # seconds: longer than any signature is good
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Notification(NamedTuple):
    """One event of a task somewhere else.

    Attributes:
        number: of the event in its task, where the sender numbers its events as codin does.
        agent: `id@thumbprint` of the agent that has signed it; None where signatures are not asked for.
    """

    event: a2a.StreamResponse
    task_id: str
    number: int | None = None
    agent: str | None = None


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Webhook:
    """Takes push notifications; each event once, whether it is posted once or more often.

        routes = [Route("/hooks/codin", Webhook(receive, token=…))]     # of Starlette; FastAPI: add_route

    What is given of `keys`, `token` and `authorization` has to be right, all of it. A delivery is acknowledged when
    `receive` has returned: when it raises, the sender is asked to come again. Without `receive`, iterate over the
    webhook; then a delivery is acknowledged when it has a place in the queue.

    Args:
        receive: is handed each event.
        url: where the webhook is configured to be, or all such URLs: what a signature has to be for.
        keys: of the agents whose signed notifications are taken: a function from the thumbprint to the key, or the
            keys, as `published_keys` gives them. `KnownKeys(ring, store).find` follows what is rotated and revoked.
        token: the configuration's token.
        authorization: the Authorization header that the configuration's authentication makes, such as "Bearer …".
        anonymous: takes what anybody posts, where nothing of these is given.
        tasks: the ids that are waited for, in anything that has an `in`; others are put off.
        max_body: bytes of a delivery.
        max_seen: events that are remembered, so that they are not taken twice.
        max_waiting: events that wait for being iterated over; above it a sender is put off.

    Raises:
        ConfigError: nothing says who may notify, or signatures are asked for and no URL is given.
    """

    def __init__(
        self,
        receive: Callable[[Notification], Awaitable[object]] | None = None,
        *,
        url: str | Collection[str] = (),
        keys: Keys | None = None,
        token: str | None = None,
        authorization: str | None = None,
        anonymous: bool = False,
        tasks: Container[str] | None = None,
        max_body: int = 4 * 1024 * 1024,
        max_seen: int = 10_000,
        max_waiting: int = 1000,
    ) -> None:
        if keys is None and not token and not authorization and not anonymous:
            raise ConfigError("anybody could notify", hint="give keys, token or authorization; or anonymous=True")
        self._urls = frozenset({url} if isinstance(url, str) else url)
        if keys is not None and not self._urls:
            raise ConfigError("a signature is for one URL, and none is given", hint="Webhook(url=…, keys=…)")
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(max_waiting)
        self._receive: Callable[[Notification], Awaitable[object]] = self._enqueue if receive is None else receive
        self._keys = keys if keys is None or callable(keys) else list(keys)
        expected = {b"x-a2a-notification-token": token, b"authorization": authorization}
        self._expected = {name: value.encode() for name, value in expected.items() if value}
        self._tasks = tasks
        self._max_body = max_body
        self._max_seen = max_seen
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._coming: set[str] = set()
        self._used = UsedTokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"a webhook takes HTTP, not {scope['type']!r}")
        try:
            await self._take(scope, receive)
        except _Refused as refused:
            fields = [_TEXT, (b"retry-after", b"1")] if refused.status == 503 else [_TEXT]
            await answer(send, f"{refused}\n".encode(), status=refused.status, headers=fields)
        except a2a.A2AError as error:
            await answer(send, f"{error.message}\n".encode(), status=error.http_status, headers=[_TEXT])
        except ConnectionResetError:
            return
        except Exception:
            _logger.exception("a notification could not be handled")
            await answer(send, b"", status=500, headers=[_TEXT])
        else:
            await answer(send, b"", status=204, headers=())

    def __aiter__(self) -> AsyncIterator[Notification]:
        return self

    async def __anext__(self) -> Notification:
        """The next event. There is no end."""
        return await self._queue.get()

    async def _enqueue(self, notification: Notification) -> None:
        try:
            self._queue.put_nowait(notification)
        except asyncio.QueueFull:
            raise _Refused(503, "too many events wait") from None

    async def _take(self, scope: Scope, receive: Receive) -> None:
        if scope["method"] != "POST":
            raise _Refused(405, "POST only")
        headers = headers_of(scope)
        self._check_credentials(headers)
        if not declares(headers, _MEDIA_TYPES):
            raise _Refused(415, "send application/a2a+json")
        body = await read_body(receive, headers, self._max_body)
        notification, key = self._read(headers, body)
        if self._tasks is not None and notification.task_id not in self._tasks:
            # It may be faster than the answer that tells its id to whoever waits for it.
            raise _Refused(503, "nobody waits for this task, or not yet")
        if key is None:
            await self._receive(notification)
        else:
            await self._once(notification, key)

    def _check_credentials(self, headers: Mapping[bytes, bytes]) -> None:
        for name, expected in self._expected.items():
            if not compare_digest(headers.get(name, b""), expected):
                raise _Refused(401, f"{name.decode()} is not the one that was configured")

    def _read(self, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Notification, str | None]:
        """The event, and what names its delivery."""
        claims = None
        if self._keys is not None:
            try:
                shown = headers.get(_SIGNATURE, b"").decode("ascii", "replace")
                claims = verify_notification(shown, self._keys, self._urls, body)
            except TokenRefused as error:
                raise _Refused(401, error.message) from None
            if not self._used.use(claims["jti"], time() + _LEEWAY, time()):
                raise _Refused(401, "this very delivery was made before")
        event = _event_of(body)
        task_id = _task_of(event)
        if claims is not None:
            if claims["task"] != task_id:
                raise _Refused(400, "the event is not of the task that was signed for")
            number, agent = claims["number"], claims["iss"]  # no agent speaks for the events of another
            return Notification(event, task_id, number, agent), f"{agent}/{task_id}/{number}"
        key = headers.get(b"idempotency-key", b"").decode("latin-1")
        of, _, number = key.rpartition("/")
        known = int(number) if of == task_id and number.isdecimal() and len(number) < 18 else None
        return Notification(event, task_id, known), key or None

    async def _once(self, notification: Notification, key: str) -> None:
        if key in self._seen:
            return
        if key in self._coming:
            raise _Refused(503, "this event is being handled")
        self._coming.add(key)
        try:
            await self._receive(notification)
        finally:
            self._coming.discard(key)
        self._seen[key] = None
        if len(self._seen) > self._max_seen:
            self._seen.popitem(last=False)


def _event_of(body: bytes) -> a2a.StreamResponse:
    """Agents of 0.3 post the task alone, which says itself what it is."""
    try:
        return a2a.StreamResponse.from_json(body)
    except a2a.InvalidParams:
        fields: object = from_json(body)
        if not isinstance(fields, dict) or "kind" not in fields:
            raise
        return a2a.StreamResponse.from_dict(v03.RPC.read_value(fields))


def _task_of(event: a2a.StreamResponse) -> str:
    value = event.value
    return value.id if isinstance(value, a2a.Task) else value.task_id or ""


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{kind}.complete"})
        if kind == "shutdown":
            return
