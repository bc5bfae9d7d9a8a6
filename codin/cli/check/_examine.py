"""The card is found, the interfaces on it are opened, and every check is run over each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import anyio

from codin.cli.check._answer import Answer
from codin.cli.check._bench import Agent, Bench, Wishes, unknown_id
from codin.cli.check._check import Check
from codin.cli.check._json import Json, is_object
from codin.cli.check._jsonrpc import JsonRpcWire
from codin.cli.check._report import Report, Result
from codin.cli.check._rest import RestWire
from codin.cli.check._verdict import Broken, Finding, Outcome, Unchecked
from codin.cli.check._wire import Caller, Wire
from codin.errors import BadResponse, CodinError
from codin.net import AddressGuard, Response, Transport, is_loopback

__all__ = ["examine"]

_CARD = "/.well-known/agent-card.json"
_SPOKEN = ("JSONRPC", "HTTP+JSON", "GRPC")
_PATIENCE = 6  # times the timeout of one request, for all of a check
_ODD = (KeyError, TypeError, AttributeError, IndexError, ValueError, AssertionError)


async def examine(
    url: str,
    checks: Sequence[Check],
    wishes: Wishes,
    transport: Transport,
    *,
    bindings: Sequence[str] = (),
    began: Callable[[Check, str], None] | None = None,
    guard: AddressGuard | None = None,
) -> Report:
    """Run checks against the agent at a URL.

    Args:
        bindings: the ones to check; by default all that the card declares.
        began: told of every check before it runs.
        guard: says which addresses may be called beside the transport, which has its own.

    Raises:
        TransportError: there is no card that can be read.
    """
    agent = await _found(url, wishes, transport)
    try:
        await _open(agent, wishes, bindings, guard)
        results: list[Result] = []
        benches = [Bench(agent, wishes), *(Bench(agent, wishes, wire) for wire in agent.wires.values())]
        for check in checks:
            for bench in benches:
                if not _concerns(check, bench):
                    continue
                if began is not None:
                    began(check, bench.binding)
                results.append(await _run(check, bench))
        for bench in benches[1:]:
            await _tidy(bench)
        return Report(agent, results)
    finally:
        for wire in agent.wires.values():
            await wire.aclose()


def _concerns(check: Check, bench: Bench) -> bool:
    if check.lacks and bench.agent.declares(check.lacks):
        return False
    return bench.binding in check.bindings if bench.binding else not check.bindings


async def _run(check: Check, bench: Bench) -> Result:
    bench.notes, bench.last = [], None
    begun = monotonic()
    findings: list[Finding] = []
    why = ""
    try:
        if check.needs and not bench.agent.declares(check.needs):
            raise Unchecked(f"the card does not declare {check.needs}")
        with anyio.fail_after(bench.wishes.timeout * _PATIENCE):
            await check.run(bench)
    except Broken as broken:
        findings = [broken.finding]
    except Unchecked as unchecked:
        why = str(unchecked)
    except TimeoutError:
        why = "it took too long; --timeout waits longer"
    except _ODD as error:  # an answer that is built in another way than anything that was thought of
        shape = f"an answer of the protocol's shape; reading it ended with {type(error).__name__}: {error}"
        findings = [Finding.of(check.rules[0], shape, bench.last or "nothing")]
    failed = bool(findings)
    findings += bench.notes
    outcome = Outcome.FAILED if failed else Outcome.WARNED if findings else Outcome.PASSED
    if why and not findings:
        outcome = Outcome.UNCHECKED
    return Result(check, bench.binding, outcome, findings, why, monotonic() - begun)


async def _tidy(bench: Bench) -> None:
    """Tasks that a check left unfinished are canceled."""
    for id in dict.fromkeys(bench.opened):
        await bench.wire.ask("CancelTask", {"id": id})


# -- the card ----------------------------------------------------------------------------------------------------------


async def _found(url: str, wishes: Wishes, transport: Transport) -> Agent:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    below = f"{origin}{parts.path.rstrip('/')}"
    places = [url] if parts.path.endswith(".json") else list(dict.fromkeys((f"{below}{_CARD}", f"{origin}{_CARD}")))
    said = ""
    nobody: Mapping[str, str] = {}
    for secret in (nobody, wishes.caller.secret) if wishes.caller.secret else (nobody,):
        for place in places:
            headers = {"Accept": "application/json, application/a2a+json", **secret}
            response = await transport.request("GET", place, headers=headers, timeout=wishes.timeout)
            card = _document(response) if response.status == 200 else None
            if card is not None:
                fetched = Answer(f"GET {place}", *response)
                return Agent(place, fetched, card, transport, card_is_private=bool(secret))
            said = said or f"{place} answered HTTP {response.status}"
    raise BadResponse(f"There is no agent card at {url}: {said}.", hint="is the address right?")


def _document(response: Response) -> Json | None:
    try:
        found: Any = json.loads(response.body)
    except ValueError:
        return None
    return found if is_object(found) else None


# -- the interfaces ----------------------------------------------------------------------------------------------------


async def _open(agent: Agent, wishes: Wishes, bindings: Sequence[str], guard: AddressGuard | None) -> None:
    """Of several interfaces with one binding, the first is asked, as clients do it."""
    required = [
        str(each.get("uri"))
        for each in agent.listed("capabilities", "extensions")
        if each.get("required") is True and each.get("uri")
    ]
    plain = {**wishes.caller.plain, **({"A2A-Extensions": ", ".join(required)} if required else {})}
    caller = Caller(wishes.caller.secret, plain)
    for interface in agent.listed("supportedInterfaces"):
        binding, version = str(interface.get("protocolBinding")), str(interface.get("protocolVersion", "1.0"))
        known = {*agent.wires, *agent.lost, *agent.unasked}
        if not version.startswith("1") or binding in known or (bindings and binding not in bindings):
            continue
        wire = _wire(agent, interface, binding, caller, wishes.timeout)
        if isinstance(wire, str):
            agent.unasked[binding] = wire
            continue
        problem = await _problem(wire, guard if binding == "GRPC" else None)
        if problem is None:
            agent.wires[binding] = wire
        else:
            agent.lost[binding] = problem
            await wire.aclose()
    for binding in bindings:
        if binding not in {*agent.wires, *agent.lost, *agent.unasked}:
            agent.unasked[binding] = "the card declares no such interface of version 1.0"


def _wire(agent: Agent, interface: Json, binding: str, caller: Caller, timeout: float) -> Wire | str:
    """What speaks with an interface, or why nothing here does."""
    url, tenant = str(interface.get("url", "")), str(interface.get("tenant") or "")
    if caller.secret and not _is_for(url, agent.address):
        return f"the interface is at {url!r}, which is not where the credential was given for"
    if binding == "GRPC":
        if find_spec("grpc") is None or find_spec("google.protobuf") is None:
            return "gRPC lacks a package: pip install 'codin[grpc]'"
        from codin.cli.check._grpc import GrpcWire

        return GrpcWire(_grpc_address(url, agent), tenant, caller, timeout)
    if binding not in _SPOKEN:
        return "a binding that codin does not know"
    if urlsplit(url).scheme not in {"http", "https"}:
        return f"the interface has no address: {url!r}"
    kind = JsonRpcWire if binding == "JSONRPC" else RestWire
    return kind(url, tenant, caller, timeout, agent.transport)


def _is_for(url: str, given: str) -> bool:
    """Whether a credential for one address may go to another: the same host, and not from HTTPS to HTTP."""
    one, other = (urlsplit(each if "://" in each else f"//{each}") for each in (given, url))
    return one.hostname == other.hostname and not (one.scheme == "https" and other.scheme == "http")


def _grpc_address(url: str, agent: Agent) -> str:
    """Cards say nothing of TLS; it is used unless the host is this machine, or has another interface without it."""
    if "://" in url:
        return url
    host = urlsplit(f"//{url}").hostname or ""
    places = [str(each.get("url")) for each in agent.listed("supportedInterfaces")]
    plain = {urlsplit(place).hostname for place in places if place.startswith("http://")}
    return f"{'http' if is_loopback(host) or host in plain else 'https'}://{url}"


async def _problem(wire: Wire, guard: AddressGuard | None) -> str | None:
    """Why nobody is there; None when somebody answers."""
    try:
        if guard is not None:
            await guard.check(wire.url)
    except CodinError as error:
        return error.message
    for method, params in (("GetTask", {"id": unknown_id()}), ("ListTasks", {"pageSize": 1})):
        answer = await wire.ask(method, params)
        refusal = answer.refusal
        gone = refusal is not None and refusal.code == "UNAVAILABLE"
        nowhere = answer.fault is not None and answer.status in {0, 404}
        if not gone and not nowhere:
            return None
    return answer.received
