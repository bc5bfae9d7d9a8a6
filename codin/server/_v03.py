"""A2A 0.3 on the same endpoints: its calls run as operations of 1.0, translated before and after."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from pydantic_core import from_json, to_json

from codin import a2a
from codin.a2a import v03
from codin.errors import ConfigError
from codin.server._endpoint import Endpoint
from codin.server._http import Headers
from codin.server._operations import Operations, echo
from codin.server._stream import Streams
from codin.task import Entry, OldPushConfig, Reader, Subscription
from codin.trust import Caller

__all__ = ["OldOperations", "check_versions", "old_echo", "old_headers", "old_request", "old_stream", "speaks_old"]

_VERSIONS = ("1.0", v03.OLD_VERSION)
_EXTENSIONS, _OLD_EXTENSIONS = b"a2a-extensions", b"x-a2a-extensions"


def check_versions(versions: Collection[str]) -> frozenset[str]:
    """The versions of the protocol that a server speaks. 1.0 is always one of them.

    Raises:
        ConfigError: one that codin does not speak, or 1.0 is missing.
    """
    given = frozenset([versions] if isinstance(versions, str) else versions)
    if "1.0" not in given or not given <= set(_VERSIONS):
        raise ConfigError(
            f"versions={tuple(versions)!r} cannot be served", hint=f"{_VERSIONS!r}, or only ('1.0',) to refuse 0.3"
        )
    return given


def speaks_old(headers: Headers) -> bool:
    """Whether a request is in 0.3: it says so, or names no version at all. Spec 3.6.2."""
    version = headers.get(b"a2a-version", b"").strip().decode("latin-1")
    return not version or v03.is_old_version(version)


def old_headers(headers: Headers) -> Headers:
    """The service parameters of a request in 0.3, as the operations of 1.0 want them."""
    made = {**headers, b"a2a-version": b"1.0"}
    if _OLD_EXTENSIONS in headers:
        made.setdefault(_EXTENSIONS, headers[_OLD_EXTENSIONS])
    return made


def old_echo(endpoint: Endpoint, headers: Headers) -> list[tuple[bytes, bytes]]:
    """What `echo` answers, by the names of 0.3."""
    names = {_EXTENSIONS: _OLD_EXTENSIONS}
    return [(names.get(name, name), value) for name, value in echo(endpoint, old_headers(headers))]


def old_request(method: str, params: dict[str, Any]) -> a2a.Model:
    """The typed request of an operation. A push configuration in it is marked as one of 0.3."""
    request = a2a.params_of(method, params)
    if isinstance(request, a2a.TaskPushNotificationConfig):
        return OldPushConfig.from_dict(request.to_dict())
    configuration = request.configuration if isinstance(request, a2a.SendMessageRequest) else None
    if configuration is not None and (push := configuration.task_push_notification_config) is not None:
        configuration.task_push_notification_config = OldPushConfig.from_dict(push.to_dict())
    return request


class OldOperations:
    """Runs the JSON-RPC methods of 0.3."""

    def __init__(self, streams: Streams) -> None:
        self._operations = Operations(streams, old_request)

    async def run(
        self, endpoint: Endpoint, caller: Caller, headers: Headers, method: str, params: dict[str, Any]
    ) -> bytes | Subscription:
        """Run one method: the JSON of its result, or what to stream.

        Raises:
            A2AError: it is refused, in terms that 0.3 knows.
        """
        try:
            name, wanted = v03.read_request(method, params)
            payload = await self._operations.run(endpoint, caller, old_headers(headers), name, wanted)
            if isinstance(payload, Subscription):
                return old_stream(payload, v03.RPC)
            if method == "message/stream":  # one message, and no task
                return to_json(v03.RPC.write_value(from_json(payload)))
            return to_json(v03.write_result(method, from_json(payload)))
        except a2a.A2AError as error:
            known = v03.known_error(error, v03.RPC, v03.METHODS.get(method, ""))
            if known is error:
                raise
            raise known from None


def old_stream(subscription: Subscription, dialect: v03.Dialect) -> Subscription:
    """The same stream with every event as 0.3 writes it."""
    # A stream asks of its reader what `_OldReader` has, and no more.
    return Subscription(None, cast("Reader", _OldReader(subscription, dialect)))


class _OldReader:
    """A reader whose entries are translated as they are taken.

    An update that only repeats the text which came in pieces before is left out: clients of 0.3 add it to what they
    have.
    """

    def __init__(self, subscription: Subscription, dialect: v03.Dialect) -> None:
        self._first = subscription.first
        self._reader = subscription.reader
        self._dialect = dialect
        self._texts: dict[str, str] = {}  # by artifact, as it was told so far

    def __enter__(self) -> _OldReader:
        self._reader.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__(*_)

    @property
    def ended(self) -> bool:
        return self._reader.ended

    async def wait(self) -> None:
        await self._reader.wait()

    def wake(self) -> None:
        self._reader.wake()

    def take(self) -> list[Entry]:
        taken: list[Entry] = []
        if self._first is not None:
            number, task = self._first
            self._first = None
            event = {"task": from_json(task)}
            for artifact in event["task"].get("artifacts", ()):
                self._texts[artifact["artifactId"]] = _text_of(artifact)
            taken.append(self._translated(number, 0, event, final=False))
        entries = self._reader.take()
        for entry in entries:
            final = self._reader.ended and entry is entries[-1]  # the status that ends it is the last thing it says
            event = from_json(entry.body)
            if "artifactUpdate" not in event or not self._repeats(event["artifactUpdate"]):
                taken.append(self._translated(entry.number, entry.at, event, final=final))
        return taken

    def _repeats(self, update: dict[str, Any]) -> bool:
        artifact = update["artifact"]
        known, text = self._texts.get(artifact["artifactId"]), _text_of(artifact)
        self._texts[artifact["artifactId"]] = (known or "") + text if update.get("append") else text
        return bool(text) and text == known and not update.get("append")

    def _translated(self, number: int, at: int, event: dict[str, Any], *, final: bool) -> Entry:
        entry = Entry(at, to_json(self._dialect.write_value(event, final=final)))
        entry.number = number
        return entry


def _text_of(artifact: dict[str, Any]) -> str:
    """The text of an artifact that is text and nothing else."""
    texts = [part["text"] for part in artifact["parts"] if "text" in part]
    return "".join(texts) if len(texts) == len(artifact["parts"]) else ""
