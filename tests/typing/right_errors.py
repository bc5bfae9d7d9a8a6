"""What codin raises."""

from __future__ import annotations

import asyncio
from typing import assert_type

from codin import a2a
from codin.agent import Task
from codin.client import Peer
from codin.errors import (
    BadResponse,
    CodinError,
    ConfigError,
    Conflict,
    ConnectError,
    DeadlineExceeded,
    LeaseLost,
    ResponseTooLarge,
    StoreError,
    StoreInUse,
    TaskClosed,
    TransportError,
)


async def catches_what_a_peer_refuses(peer: Peer) -> None:
    try:
        await peer.send("hello")
    except a2a.Overloaded as error:
        assert_type(error.retry_after, float | None)
        await asyncio.sleep(error.retry_after or 1.0)
    except a2a.InvalidParams as error:
        assert_type(error.violations, list[a2a.FieldViolation])
        field, description = error.violations[0]
        assert_type((field, description), tuple[str, str])
    except a2a.A2AError as error:
        assert_type(error.reason, str)
        assert_type(error.rpc_code, int)
        assert_type(error.metadata, dict[str, str])
    except (ConnectError, DeadlineExceeded, ResponseTooLarge, BadResponse) as error:
        assert_type(error.code, str)
    except TransportError as error:
        assert_type(error.message, str)


async def catches_all_of_it(task: Task) -> str | None:
    try:
        await task.write("a chunk")
    except TaskClosed:
        return None
    except (StoreInUse, LeaseLost, Conflict) as error:
        return error.code
    except StoreError as error:
        return error.hint
    except CodinError as error:
        assert_type(error.hint, str | None)
    return ""


class OutOfStock(a2a.UnsupportedOperation):
    """An error of one's own travels as the one it is a kind of."""

    def __init__(self, item: str) -> None:
        super().__init__(f"There is no {item!r}", reason="OUT_OF_STOCK", metadata={"item": item})


def raises(item: str) -> None:
    match item:
        case "":
            raise a2a.InvalidParams.of("item", "Must not be empty", hint="Name an item.")
        case "everything":
            raise a2a.Overloaded("One at a time", retry_after=2)
        case "nothing":
            raise a2a.InvalidRequest(violations=[a2a.FieldViolation("item", "Must be something")])
        case "secret":
            raise a2a.PermissionDenied
        case "setting":
            raise ConfigError("The shop has no door.", hint="Open it first.")
        case _:
            raise OutOfStock(item)


def goes_over_the_wire(error: a2a.A2AError) -> None:
    read = a2a.from_rpc_error(a2a.to_rpc_error(error))
    assert_type(read, a2a.A2AError)
    assert_type([row.error for row in a2a.error_table()], list[type[a2a.A2AError]])
    assert_type(a2a.InvalidParams.of("item", "Must not be empty"), a2a.InvalidParams)
