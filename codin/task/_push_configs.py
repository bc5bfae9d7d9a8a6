"""Push configurations as a task's log has them: private entries, so that they share its owner, its commits, its life.

Body of a `push` entry: `{"set": config}` with `"version": "0.3"` if it was set in that, `{"deleted": id}`, or
`{"stopped": id, "number": n, "why": …}` where the delivery of entry `n` was given up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from codin import a2a
from codin.a2a.v03 import OLD_VERSION
from codin.task._clock import now_ms
from codin.task._entry import Entry, PrivateEntry
from codin.task._push_request import OldPushConfig

__all__ = ["Known", "Stopped", "check_fields", "config_entry", "configs_in", "deleted_entry", "stopped_entry"]

_LONGEST_URL = 2048
_LONGEST_SECRET = 8192
_ID = re.compile(r"[!-~]{1,128}")
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 11.1
_FIELD_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


class Stopped(NamedTuple):
    """A delivery that was given up: of which entry, why, and when (milliseconds since 1970)."""

    number: int
    why: str
    at: int


class Known(NamedTuple):
    """A configuration, the entry it came with, and the newest delivery of it that was given up."""

    config: a2a.TaskPushNotificationConfig
    since: int
    stopped: Stopped | None = None


def configs_in(entries: Iterable[Entry]) -> dict[str, Known]:
    """What holds by a log, in the order of coming. One that is set again keeps its place."""
    found: dict[str, Known] = {}
    for entry in entries:
        if entry.kind != "push":
            continue
        record: dict[str, Any] = from_json(entry.body)
        if "set" in record:
            model = OldPushConfig if record.get("version") == OLD_VERSION else a2a.TaskPushNotificationConfig
            config = model.from_dict(record["set"])
            before = found.get(config.id or "")
            found[config.id or ""] = Known(config, entry.number if before is None else before.since)
        elif "deleted" in record:
            found.pop(record["deleted"], None)
        elif (known := found.get(record["stopped"])) is not None:
            stopped = Stopped(record["number"], record["why"], entry.at)
            found[record["stopped"]] = known._replace(stopped=stopped)
    return found


def config_entry(config: a2a.TaskPushNotificationConfig) -> PrivateEntry:
    """A configuration is set."""
    version = {"version": OLD_VERSION} if isinstance(config, OldPushConfig) else {}
    return PrivateEntry("push", now_ms(), to_json({"set": config.to_dict(), **version}))


def deleted_entry(config_id: str) -> PrivateEntry:
    """A configuration is no more."""
    return PrivateEntry("push", now_ms(), to_json({"deleted": config_id}))


def stopped_entry(config_id: str, number: int, why: str) -> PrivateEntry:
    """The delivery of an entry was given up."""
    return PrivateEntry("push", now_ms(), to_json({"stopped": config_id, "number": number, "why": why}))


def check_fields(config: a2a.TaskPushNotificationConfig, path: str) -> None:
    """Look at everything but where the URL leads. `path` stands before the names of fields.

    Raises:
        InvalidParams: a field cannot be used. The message does not quote it.
    """
    try:
        parts = urlsplit(config.url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise a2a.InvalidParams.of(f"{path}url", "is not a URL") from None
    if not usable or len(config.url) > _LONGEST_URL or not _FIELD_VALUE.fullmatch(config.url) or " " in config.url:
        raise a2a.InvalidParams.of(f"{path}url", f"is no http(s) URL of at most {_LONGEST_URL} characters")
    if parts.username is not None or parts.password is not None:
        raise a2a.InvalidParams.of(f"{path}url", "holds a credential", hint="use authentication or token")
    if config.id and not _ID.fullmatch(config.id):
        raise a2a.InvalidParams.of(f"{path}id", "is not 1 to 128 visible ASCII characters", hint="leave it out")
    if config.token and not _is_secret(config.token):
        raise a2a.InvalidParams.of(f"{path}token", "cannot be the value of an HTTP header")
    if config.authentication is None:
        return
    if not _SCHEME.fullmatch(config.authentication.scheme):
        raise a2a.InvalidParams.of(f"{path}authentication.scheme", "is no HTTP authentication scheme", hint="Bearer")
    credentials = config.authentication.credentials
    if credentials and not _is_secret(credentials):
        raise a2a.InvalidParams.of(f"{path}authentication.credentials", "cannot be the value of an HTTP header")


def _is_secret(text: str) -> bool:
    return len(text) <= _LONGEST_SECRET and _FIELD_VALUE.fullmatch(text) is not None
