"""Versions and other service parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import HTTP, check
from codin.cli.check._verdict import Unchecked


def operations(bench: Bench) -> Mapping[str, Mapping[str, Any]]:
    """Every operation with parameters that change nothing."""
    id = unknown_id()
    config = {"taskId": id, "id": "c-1"}
    return {
        "SendMessage": {"message": bench.message(taskId=id)},
        "SendStreamingMessage": {"message": bench.message(taskId=id)},
        "GetTask": {"id": id},
        "ListTasks": {"pageSize": 1},
        "CancelTask": {"id": id},
        "SubscribeToTask": {"id": id},
        "CreateTaskPushNotificationConfig": {**config, "url": bench.wishes.webhook},
        "GetTaskPushNotificationConfig": config,
        "ListTaskPushNotificationConfigs": {"taskId": id},
        "DeleteTaskPushNotificationConfig": config,
        "GetExtendedAgentCard": {},
    }


def _speaks_old(bench: Bench) -> bool:
    return any(
        str(each.get("protocolVersion", "")).startswith("0") and each.get("protocolBinding") == bench.wire.binding
        for each in bench.agent.listed("supportedInterfaces")
    )


@check("VERSION-REFUSED", "VERSION-EVERYWHERE", "GRPC-METADATA", "GRPC-VERSION")
async def version_unknown(bench: Bench) -> None:
    """Version 99.0 is refused with VersionNotSupported, in every operation."""
    for method, params in operations(bench).items():
        answer = await bench.ask(method, params, version="99.0")
        bench.refused(answer, "VersionNotSupported", "VERSION-EVERYWHERE")


@check("VERSION-REFUSED")
async def version_of_a_message(bench: Bench) -> None:
    """A message in version 99.0 is refused, and nothing is done with it."""
    for method in ("SendMessage", "SendStreamingMessage"):
        answer = await bench.ask(method, {"message": bench.message()}, version="99.0")
        bench.refused(answer, "VersionNotSupported", "VERSION-REFUSED")


@check("VERSION-EMPTY", "VERSION-EVERYWHERE")
async def version_missing(bench: Bench) -> None:
    """A request without a version is one of 0.3: where that is not spoken, every operation refuses it."""
    if _speaks_old(bench):
        raise Unchecked("the card declares 0.3 for this binding, so requests without a version are of that one")
    for method, params in operations(bench).items():
        answer = await bench.ask(method, params, version=None)
        bench.refused(answer, "VersionNotSupported", "VERSION-EMPTY")


@check("VERSION-EMPTY", "VERSION-REFUSED")
async def version_old(bench: Bench) -> None:
    """An empty version, and 0.3 where that is not spoken, are refused with VersionNotSupported."""
    if _speaks_old(bench):
        raise Unchecked("the card declares 0.3 for this binding")
    for version, rule in (("", "VERSION-EMPTY"), ("0.3", "VERSION-REFUSED")):
        answer = await bench.ask("GetTask", {"id": unknown_id()}, version=version)
        bench.refused(answer, "VersionNotSupported", rule)


@check("VERSION-PATCH")
async def version_patch(bench: Bench) -> None:
    """Version 1.0.3 is 1.0."""
    answer = await bench.ask("GetTask", {"id": unknown_id()}, version="1.0.3")
    bench.refused(answer, "TaskNotFound", "VERSION-PATCH")


@check("PARAM-CASE", "PARAM-HEADERS", bindings=HTTP)
async def header_case(bench: Bench) -> None:
    """The names of service parameters have no case."""
    for name in ("a2a-version", "A2A-VERSION"):
        answer = await bench.ask("GetTask", {"id": unknown_id()}, version=None, headers={name: "99.0"})
        bench.refused(answer, "VersionNotSupported", "PARAM-CASE")


@check("EXTENSION-UNKNOWN", "PARAM-COMMA")
async def unknown_extension(bench: Bench) -> None:
    """Extensions that the agent does not know are passed over."""
    required = bench.wire.caller.plain.get("A2A-Extensions", "")
    named = [each for each in (required, "urn:codin:check:one", "urn:codin:check:two") if each]
    answer = await bench.ask("GetTask", {"id": unknown_id()}, headers={"A2A-Extensions": ", ".join(named)})
    bench.refused(answer, "TaskNotFound", "EXTENSION-UNKNOWN")


@check("EXTENSION-REQUIRED", "EXTENSION-NO-FALLBACK")
async def required_extension(bench: Bench) -> None:
    """A request that does not declare a required extension is refused with ExtensionSupportRequired."""
    required = [each for each in bench.agent.listed("capabilities", "extensions") if each.get("required") is True]
    if not required:
        raise Unchecked("the card requires no extension")
    for method in ("SendMessage", "SendStreamingMessage"):
        for headers in ({"A2A-Extensions": ""}, {"A2A-Extensions": f"{required[0].get('uri')}-of-another-version"}):
            answer = await bench.ask(method, {"message": bench.message()}, headers=headers)
            bench.refused(answer, "ExtensionSupportRequired", "EXTENSION-REQUIRED")
