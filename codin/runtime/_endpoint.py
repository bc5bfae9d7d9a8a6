"""An endpoint: what its answer means, and how a container or a pod is told to call one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from codin.errors import AddressRefused, NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.net._body import is_json
from codin.net._wording import masked, shown
from codin.runtime._job import Call, Sent, body_of
from codin.runtime._protocol import Emit, Endpoint, Event, Item, Kind, Outcome, terms_of

__all__ = ["TOO_LONG", "RemoteCall", "answered", "lost", "refused"]

TOO_LONG = "the answer is longer than limits.output"

# What the guest writes is larger than what it got: JSON takes up to six bytes for one, and each piece has a frame.
_WRAPPING, _FRAMES = 8, 64 * 1024
_SAFE = "/?%:@!$&'()*+,;=~-._"  # in a URL, as `codin.net` leaves it
_GUARD = (
    "the runtime's guard=AddressGuard(allow_private=…, allow_loopback=…, allowed_hosts=…), from codin.net, "
    "says which addresses may be called"
)
_NOTHING: Mapping[str, Any] = {}
# How a guard judges each zone, it says of an address there that nobody has reason to allow by itself.
_SAMPLES = {
    "PUBLIC": "9.255.255.254",
    "PRIVATE": "10.255.255.254",
    "LOOPBACK": "127.255.255.254",
    "SPECIAL": "169.254.255.254",
}


@dataclass(frozen=True, slots=True)
class _Asked(Sent):
    """The call of an endpoint as a guest does it."""

    kind: ClassVar[Kind] = "endpoint"


class RemoteCall:
    """One call from somewhere else: `workload` is what runs there, `heard` listens, `told` says what came of it."""

    def __init__(self, endpoint: Endpoint, workload: Sent) -> None:
        self.workload = workload
        self._endpoint = endpoint
        self._pieces: list[str] = []

    @classmethod
    async def of(cls, endpoint: Endpoint, guard: AddressGuard) -> RemoteCall:
        """Raises NoRuntime when the guard says no: by the URL, or by the addresses that it has from here."""
        try:
            request = {**_request(endpoint), **await _rules(endpoint.url, guard)}
        except AddressRefused as error:
            raise refused(error.message) from error
        told = {"target": "codin_endpoint:call", "args": [request], "kwargs": _NOTHING, "init": _NOTHING, "method": ""}
        sources = {
            "codin_endpoint.py": (package_files("codin.runtime") / "_endpoint_guest.py").read_bytes(),
            "codin_zone.py": (package_files("codin.net") / "_zone.py").read_bytes(),
        }
        limits = replace(endpoint.limits, output=_WRAPPING * endpoint.limits.output + _FRAMES)
        terms: dict[str, Any] = {**terms_of(endpoint), "limits": limits, "network": "full"}
        return cls(endpoint, _Asked(call=Call("module", told), library=sources, **terms))

    def heard(self, emit: Emit) -> Emit:
        """`emit`, and what comes is kept: the guest says the body once, in pieces."""

        async def keep(event: Event) -> None:
            if isinstance(event, Item):
                self._pieces.append(str(event.value))
            await emit(event)

        return keep

    def told(self, outcome: Outcome) -> Outcome:
        """What came of the call.

        Raises:
            NoRuntime: its address may not be called.
            RuntimeUnavailable: nobody could be reached, or the connection was lost.
        """
        if outcome.error or outcome.ended != "exited":
            return outcome
        given: Any = outcome.value
        said: Mapping[str, Any] = {**given} if isinstance(given, dict) else {}
        url = self._endpoint.url
        if "refused" in said:
            raise refused(str(said["refused"]))
        if "unreached" in said:
            raise RuntimeUnavailable(f"{shown(url)} could not be reached: {said['unreached']}")
        if "long" in said:
            return replace(outcome, value=None, exit_code=1, ended="output", error=TOO_LONG)
        if not isinstance(status := said.get("status"), int):
            raise lost(self._endpoint, str(said.get("lost", "the guest gave no status")))
        answer = answered(self._endpoint, status, str(said.get("type", "")), "".join(self._pieces))
        return replace(outcome, value=answer.value, exit_code=answer.exit_code, error=answer.error)


def answered(endpoint: Endpoint, status: int, content_type: str, text: str) -> Outcome:
    """What an answer means that has come to its end. An error shows no value of the headers that were sent."""
    value: Any = text
    error = ""
    if is_json(content_type):
        try:
            value = json.loads(text) if text else None
        except (ValueError, RecursionError):
            error = "the endpoint says JSON, and its answer is none"
    if not 200 <= status < 300:
        kind = ", a redirect, which is not followed" if 300 <= status < 400 else ""
        error = f"the endpoint answered HTTP {status}{kind}: {masked(text, endpoint.headers.values())[:300]}"
    return Outcome(value=value, exit_code=1 if error else 0, error=error)


def lost(endpoint: Endpoint, reason: str) -> RuntimeUnavailable:
    """The error of an answer that did not come to its end."""
    return RuntimeUnavailable(
        f"{shown(endpoint.url)} did not answer to the end: {masked(reason, endpoint.headers.values())}",
        hint="whether it acted is unknown; a workload that is idempotent may say retries",
    )


def refused(reason: str) -> NoRuntime:
    """The error of an address that may not be called."""
    return NoRuntime(reason, able=(), hint=_GUARD)


def _request(endpoint: Endpoint) -> dict[str, Any]:
    body, headers = body_of(endpoint)
    return {
        "method": endpoint.method,
        "headers": headers,
        "body": None if body is None else body.decode("latin-1"),
        "most": endpoint.limits.output,
    }


async def _rules(url: str, guard: AddressGuard) -> dict[str, Any]:
    """Where to connect, and which addresses may be met there. Raises AddressRefused.

    A name may lead elsewhere from there, or only from there: the guest looks at the addresses once more.
    """
    guard.check_written(url)
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    passed: list[str] | None = []
    with suppress(OSError):
        found = await guard.addresses(host, port)
        passed = None if found is None else list(found)
    return {
        "secure": secure,
        "host": host,
        "port": port,
        "target": quote(target, _SAFE),
        "zones": None if passed is None else [zone for zone, sample in _SAMPLES.items() if _allows(guard, sample)],
        "passed": passed or [],
    }


def _allows(guard: AddressGuard, address: str) -> bool:
    try:
        guard.check_written(f"http://{address}/")
    except AddressRefused:
        return False
    return True
