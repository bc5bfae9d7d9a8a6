"""What of a conversation is never written: the credentials in it, wherever they turn up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from codin.net._wording import names_secret

__all__ = ["Redaction", "object_of"]

_REDACTED = "[redacted]"

_SHORTEST = 6  # a shorter word turns up by chance
_PUSH = frozenset({"token", "credentials"})  # of a push notification configuration. Spec 4.3.1, 4.3.2


class Redaction:
    """Learns secrets from requests and takes them out of everything.

    Args:
        secrets: further words to take out.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = set(secrets)
        self._asking: set[str] = set()  # the tasks that wait for a credential

    def learn(self, headers: Mapping[str, str], params: Any) -> Any:
        """Learn from a request before it is kept or compared; gives its parameters without the answer to
        AUTH_REQUIRED.
        """
        for name, value in headers.items():
            if names_secret(name):
                self._hide(value, value.rpartition(" ")[2])
        fields = object_of(params)
        self._hide(*_credentials({name: value for name, value in fields.items() if name != "message"}))
        message = object_of(fields.get("message"))
        if message.get("taskId") not in self._asking:
            return params
        for part in map(object_of, message.get("parts") or ()):
            self._hide(*_strings([part.get(kind) for kind in ("text", "data", "raw", "url")]))
        return {**fields, "message": {**message, "parts": [{"text": _REDACTED}]}}

    def _hide(self, *words: str) -> None:
        self._secrets |= {word for word in words if len(word) >= _SHORTEST}

    def watch(self, answer: Any) -> None:
        """See in an answer which tasks wait for a credential."""
        if isinstance(answer, list):
            for each in cast("list[Any]", answer):
                self.watch(each)
            return
        fields = object_of(answer)
        task_id = fields.get("taskId") or fields.get("id")
        if (state := object_of(fields.get("status")).get("state")) and isinstance(task_id, str):
            change = self._asking.add if state == "TASK_STATE_AUTH_REQUIRED" else self._asking.discard
            change(task_id)
        for value in fields.values():
            self.watch(value)

    def clean(self, value: Any) -> Any:
        """A JSON value without the secrets."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, _REDACTED)
            return value
        if isinstance(value, list):
            return [self.clean(each) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {self.clean(name): self.clean(each) for name, each in cast("dict[str, Any]", value).items()}
        return value


def _credentials(value: Any) -> Iterator[str]:
    for name, each in object_of(value).items():
        if name in _PUSH and isinstance(each, str):
            yield each
        yield from _credentials(each)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _strings(each)
    else:
        for each in object_of(value).values():
            yield from _strings(each)


def object_of(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
