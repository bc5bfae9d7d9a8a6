"""Direct messages: agents that answer a message with a message, and keep no task. Spec 3.1.1."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from math import inf

from codin import a2a
from codin.errors import ConfigError
from codin.task._clock import now_ms
from codin.task._current import CURRENT
from codin.task._entry import Entry, plain
from codin.task._failure import report
from codin.task._fold import Fold
from codin.task._guard import Handler
from codin.task._ledger import USAGE_KEY
from codin.task._limits import Limits
from codin.task._log import TaskLog
from codin.task._position import Position
from codin.task._protocol import Owner
from codin.task._response import AgentResponse, Reject
from codin.task._run import Run
from codin.task._task import CallAgent, Task
from codin.task._wishes import NO_WISHES, wishes_of
from codin.task.stores.memory import MemoryStore
from codin.trust import Caller, CallLimits

__all__ = ["converse"]


class _NoLog(TaskLog):
    """The log of a task that does not exist."""

    __slots__ = ()

    def append(self, *entries: Entry) -> int:
        raise ConfigError(
            "an agent declared with reply='message' has no task to write to", hint="return the answer, or drop reply="
        )


async def converse(
    handler: Handler,
    caller: Caller,
    request: a2a.SendMessageRequest,
    limits: Limits,
    *,
    call: CallAgent | None = None,
    called: CallLimits | None = None,
    extensions: Sequence[str] = (),
) -> a2a.Message:
    """Answer a message with a message.

    Raises:
        TaskNotFound: the message names a task; this agent has none. Spec 3.4.2.
        InvalidAgentResponse: the agent failed, took longer than `limits.run_timeout`, or returned no message.
    """
    message = request.message
    if message.task_id:
        raise a2a.TaskNotFound(
            f"no task {message.task_id!r}: this agent answers with messages and keeps none", hint="leave taskId out"
        )
    context_id = message.context_id or str(uuid.uuid4())
    owner = Owner(request.tenant or caller.tenant, "", caller.id)
    run = Run(_NoLog(MemoryStore(), owner, "", context_id, Fold("", context_id)), limits, caller)
    run.bind(called)
    run.wishes = wishes_of(request.configuration, extensions) or NO_WISHES
    run.deadline = asyncio.get_running_loop().time() + min(limits.run_timeout, _left(called))
    run.begin(message, Position(1, b""))
    task = Task(run, call)
    before = CURRENT.set(task)
    try:
        async with asyncio.timeout_at(run.deadline):
            response = await handler(task)
    except Reject as refusal:
        response = refusal.response
    except a2a.A2AError:
        raise
    except TimeoutError:
        raise a2a.InvalidAgentResponse("the agent took longer than it may") from None
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a handler that calls sys.exit() must not end the server
        raise a2a.InvalidAgentResponse(report(error, "a direct message")) from None
    finally:
        CURRENT.reset(before)
    parts = [run.wishes.fit(part) for part in _parts(response)]
    bill = run.bill(response.usage)
    return a2a.Message(
        message_id=str(uuid.uuid4()),
        context_id=context_id,
        role=a2a.Role.AGENT,
        parts=parts,
        metadata={USAGE_KEY: plain(bill)} if bill else None,
    )


def _left(called: CallLimits | None) -> float:
    """The seconds that a caller leaves."""
    return inf if called is None or called.deadline is None else (called.deadline - now_ms()) / 1000


def _parts(response: object) -> list[a2a.Part]:
    if not isinstance(response, AgentResponse):
        raise a2a.InvalidAgentResponse("the agent returned something that is no response")
    if response.parts:
        return list(response.parts)
    parts: list[a2a.Part] = []
    if response.text is not None:
        parts.append(a2a.Part(text=response.text))
    if response.data is not None:
        parts.append(a2a.Part(data=response.data))
    for artifact in response.artifacts:
        parts += artifact.parts
    if not parts:
        raise a2a.InvalidAgentResponse("the agent returned no message")
    return parts
