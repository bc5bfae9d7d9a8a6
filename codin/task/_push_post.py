"""One push notification over HTTP. Spec 4.3.3, 13.2."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from codin import a2a
from codin.errors import AddressRefused, ResponseTooLarge, TransportError
from codin.net import Response, Transport, open_transport
from codin.task._push_policy import PushPolicy
from codin.task._push_request import OldPushConfig

if TYPE_CHECKING:
    from codin.trust import KeyRing

__all__ = ["Failure", "Post", "place_of"]

_MEDIA_TYPE = "application/a2a+json"
_OLD_MEDIA_TYPE = "application/json"
_MAX_ANSWER = 64 * 1024
_LONGEST_WISH = 3600.0  # seconds that a receiver may put us off
_MAY_PASS = frozenset({408, 425, 429})


class Failure(NamedTuple):
    """A delivery that did not arrive.

    Attributes:
        why: without anything that the configuration keeps secret.
        passes: whether the same delivery may succeed later.
        after: seconds after which the receiver wants it again.
    """

    why: str
    passes: bool
    after: float | None = None


class Post:
    """Posts the events of one agent's tasks.

    Args:
        keys: sign what is posted.
    """

    def __init__(self, policy: PushPolicy, agent: str, keys: KeyRing | None) -> None:
        self._policy = policy
        self._agent = agent
        self._keys = keys
        self._transport: Transport | None = None

    async def deliver(
        self, config: a2a.TaskPushNotificationConfig, task_id: str, number: int, body: bytes
    ) -> Failure | None:
        """Try once. `body` is the JSON of a `StreamResponse`, or of a task of 0.3 where that was wanted."""
        if self._transport is None:
            self._transport = open_transport(guard=self._policy.guard)
        headers = self._headers(config, task_id, number, body)
        try:
            response = await self._transport.request(
                "POST", config.url, headers=headers, content=body, timeout=self._policy.timeout, limit=_MAX_ANSWER
            )
        except TransportError as error:
            return _lost(error)
        return None if 200 <= response.status < 300 else _refused(response)

    def _headers(
        self, config: a2a.TaskPushNotificationConfig, task_id: str, number: int, body: bytes
    ) -> dict[str, str]:
        media_type = _OLD_MEDIA_TYPE if isinstance(config, OldPushConfig) else _MEDIA_TYPE
        headers = {"Content-Type": media_type, "Idempotency-Key": f"{task_id}/{number}"}
        if config.authentication is not None and config.authentication.credentials:
            headers["Authorization"] = f"{config.authentication.scheme} {config.authentication.credentials}"
        if config.token:
            headers["X-A2A-Notification-Token"] = config.token
        if self._keys is not None:
            from codin.trust import NOTIFICATION_HEADER, sign_notification  # loads what signs

            headers[NOTIFICATION_HEADER] = sign_notification(
                self._keys.active, self._agent, config.url, task_id=task_id, number=number, body=body
            )
        return headers

    def pause(self, tried: int, failure: Failure) -> float:
        """Seconds before the next try."""
        if failure.after is not None:
            return min(failure.after, _LONGEST_WISH)
        policy = self._policy
        # Receivers that restart are not met by everything that waits for them in one instant.
        return min(policy.longest_pause, policy.first_pause * 2.0 ** min(tried, 32)) * random.uniform(0.5, 1.0)

    async def aclose(self) -> None:
        """Let all connections go."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()


def place_of(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def _lost(error: TransportError) -> Failure:
    if isinstance(error, AddressRefused):
        return Failure("the address may not be called from here", passes=False)
    # The words of an error of the network name the whole URL.
    return Failure(type(error).__name__, passes=not isinstance(error, ResponseTooLarge))


def _refused(response: Response) -> Failure:
    status = response.status
    return Failure(f"HTTP {status}", passes=status >= 500 or status in _MAY_PASS, after=_wish(response))


def _wish(response: Response) -> float | None:
    """What Retry-After says, in seconds. RFC 9110 10.2.3."""
    said = response.headers.get("retry-after", "")
    if said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):  # none, or no date
        return None
