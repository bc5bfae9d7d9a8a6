"""Mistakes with what codin raises."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio

from codin import a2a
from codin.client import Peer
from codin.errors import CodinError, ConfigError, ConnectError, TransportError


async def catches(peer: Peer) -> None:
    try:
        await peer.send("hello")
    except a2a.Overloaded as error:
        await asyncio.sleep(error.retry_after)  # error: reportArgumentType
    except a2a.TaskNotFound as error:
        print(error.task_id)  # error: reportAttributeAccessIssue
    except a2a.A2AError as error:
        print(error.hint.lower())  # error: reportOptionalMemberAccess
        print(error.code + 1)  # error: reportOperatorIssue
        print(error.violations["item"])  # error: reportArgumentType, reportCallIssue
    except TransportError as error:
        print(error.retry_after)  # error: reportAttributeAccessIssue
    except ConnectError as error:  # error: reportUnusedExcept
        print(error)


async def catches_too_much_first(peer: Peer) -> None:
    try:
        await peer.send("hello")
    except CodinError as error:
        print(error)
    except a2a.TaskNotFound:  # error: reportUnusedExcept
        print("gone")


async def catches_what_is_no_error(peer: Peer) -> None:
    try:
        await peer.send("hello")
    except a2a.TaskState.FAILED:  # error: reportGeneralTypeIssues
        print("failed")


def raises(item: str) -> None:
    if item == "message":
        raise ConfigError  # error: reportGeneralTypeIssues
    if item == "hint":
        raise ConfigError("The shop has no door.", "Open it first.")  # error: reportCallIssue
    if item == "field":
        raise a2a.InvalidParams(field="item")  # error: reportCallIssue
    if item == "violations":
        raise a2a.InvalidParams(violations={"item": "Must not be empty"})  # error: reportArgumentType
    if item == "metadata":
        raise a2a.UnsupportedOperation("Out of stock", metadata={"left": 0})  # error: reportArgumentType
    if item == "description":
        raise a2a.InvalidParams.of("item")  # error: reportCallIssue
    if item == "time":
        raise a2a.Overloaded("One at a time", retry_after="2s")  # error: reportArgumentType
    if item == "code":
        raise a2a.A2AError(-32004, "Out of stock")  # error: reportCallIssue
    if item == "name":
        raise a2a.NotFound(item)  # error: reportAttributeAccessIssue
    raise a2a.from_rpc_error(-32001)  # error: reportArgumentType
