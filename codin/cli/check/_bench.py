"""What checks work with: an interface, the card, tasks to look at, and the words for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from codin import a2a
from codin.cli.check._answer import Answer
from codin.cli.check._json import Json, is_object, objects
from codin.cli.check._rules import rules
from codin.cli.check._shapes import faults
from codin.cli.check._verdict import Broken, Finding, Unchecked
from codin.cli.check._wire import Caller, Wire, state_in
from codin.net import Transport

__all__ = ["ENDED", "NO_TASK", "REASONS", "Agent", "Bench", "Wishes", "unknown_id"]

ENDED = frozenset(f"TASK_STATE_{name}" for name in ("COMPLETED", "FAILED", "CANCELED", "REJECTED"))
NO_TASK = "this agent answers with a message, without a task"
_WAITING = "TASK_STATE_INPUT_REQUIRED"
_BUSY = frozenset({429, 503})
_ROWS = {row.error.__name__: row for row in a2a.error_table()}
REASONS = {row.reason for row in a2a.error_table() if -32010 < row.rpc_code < -32000}


def unknown_id() -> str:
    """An id that no task has."""
    return str(uuid4())


@dataclass(frozen=True)
class Wishes:
    """What the agent is told, and who tells it.

    Attributes:
        message: what is sent where it does not matter.
        asks: a message that the agent answers with a question.
        lasts: a message whose work takes a few seconds.
        webhook: the address in push configurations.
    """

    message: str = "Hello"
    asks: str | None = None
    lasts: str | None = None
    webhook: str = "https://example.com/codin-check"
    caller: Caller = field(default_factory=Caller)
    second: Caller | None = None
    timeout: float = 30.0


@dataclass
class Agent:
    """The agent under test.

    Attributes:
        address: where its card was found.
        fetched: the answer that holds the card.
        wires: the interfaces that could be reached, by binding.
        lost: why others could not.
        unasked: why others were not tried.
        card_is_private: it was refused without a credential.
        turned_away: calls were refused for the credential, or because there was none.
    """

    address: str
    fetched: Answer
    card: Json
    transport: Transport
    wires: dict[str, Wire] = field(default_factory=dict[str, Wire])
    lost: dict[str, str] = field(default_factory=dict[str, str])
    unasked: dict[str, str] = field(default_factory=dict[str, str])
    card_is_private: bool = False
    turned_away: bool = False

    def declares(self, capability: str) -> bool:
        """Whether the card says so, with true."""
        found = self.card.get("capabilities")
        return is_object(found) and found.get(capability) is True

    def listed(self, *path: str) -> list[Json]:
        """A list of objects on the card; empty where there is none."""
        value: Any = self.card
        for name in path:
            value = value.get(name) if is_object(value) else None
        return objects(value)


class Bench:
    """Everything that checks of one interface share.

    Args:
        wire: None for checks of the card alone.
    """

    def __init__(self, agent: Agent, wishes: Wishes, wire: Wire | None = None) -> None:
        self.agent = agent
        self.wishes = wishes
        self._wire = wire
        self.notes: list[Finding] = []
        self.last: Answer | None = None
        self.opened: list[str] = []
        self._first: Answer | None = None
        self._ended: Json | None = None

    @property
    def binding(self) -> str:
        """Its name; "" for checks of the card alone."""
        return self._wire.binding if self._wire is not None else ""

    @property
    def wire(self) -> Wire:
        assert self._wire is not None
        return self._wire

    # -- words for what is wrong ---------------------------------------------------------------------------------------

    def expect(self, kept: bool, rule: str, expected: str, answer: Answer | str) -> None:
        """Note that a rule is not kept; when it is a MUST, the check ends here."""
        if kept:
            return
        finding = Finding.of(rule, expected, answer)
        if rules()[rule].level == "MUST":
            raise Broken(finding)
        self.wish(finding)

    def wish(self, finding: Finding) -> None:
        """Note a finding that is no failure, whatever its rule says; one of a kind is enough."""
        if all((note.rule, note.expected) != (finding.rule, finding.expected) for note in self.notes):
            self.notes.append(finding)

    def refused(self, answer: Answer, error: str, rule: str) -> None:
        """The answer has to be an error of the protocol.

        Args:
            error: its name in the specification.
        """
        row = _ROWS[error]
        code = self.wire.code_of(row)
        words = f"{error} ({code}{'' if self.wire.binding == 'JSONRPC' else f', {row.reason}'})"
        refusal = answer.refusal
        right = refusal is not None and refusal.code == code
        if right and refusal is not None and self.wire.binding != "JSONRPC":  # codes are shared there
            right = refusal.reason not in REASONS - {row.reason}
        self.expect(right, rule, words, answer)

    async def refused_as_unknown(self, answer: Answer, rule: str) -> None:
        """A message to an unknown task has to be TaskNotFound. Who makes no tasks at all may have another error."""
        first = await self.first()
        refusal = answer.refusal
        makes_none = is_object(first.result) and "message" in first.result
        if makes_none and refusal is not None and refusal.reason == "UNSUPPORTED_OPERATION":
            self.wish(Finding.of(rule, "TaskNotFound, also from an agent that makes no tasks", answer))
            return
        self.refused(answer, "TaskNotFound", rule)

    def any_refusal(self, answer: Answer, rule: str, expected: str = "an error") -> None:
        """The answer has to be an error, and not one of a server that broke down."""
        refusal = answer.refusal
        broke = refusal is not None and refusal.code in {500, -32603, "INTERNAL", "UNKNOWN"}
        self.expect(refusal is not None and not broke, rule, expected, answer)

    def well_formed(self, name: str, value: Any, answer: Answer) -> None:
        """The JSON of an object has to be that of the proto."""
        http = self.wire.binding != "GRPC"
        for fault in faults(name, value):
            if http or fault.rule in {"DATA-REQUIRED", "DATA-NOT-EMPTY", "DATA-ONE-CONTENT", "DATA-ONE-EVENT"}:
                self.expect(False, fault.rule, f"{rules()[fault.rule].sentence} But {fault.words}.", answer)

    def result(self, answer: Answer, rule: str = "SEND-ONE-ANSWER") -> Json:
        """The object that answers an operation; that there is one belongs to the rule."""
        self.expect(is_object(answer.result), rule, "an answer, not an error", answer)
        return answer.result if is_object(answer.result) else {}

    # -- asking --------------------------------------------------------------------------------------------------------

    async def ask(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """Run an operation; see `Wire.ask`."""
        answer = await self.wire.ask(method, params, **options)
        self.took_in(answer, is_ours="caller" not in options)
        if is_object(answer.result):
            self._remember(answer.result)
        for event in answer.events[:1]:
            self._remember(event)
        return answer

    def took_in(self, answer: Answer, *, is_ours: bool = True) -> None:
        """Look whether an answer tells anything. Raises Unchecked for one that does not.

        Args:
            is_ours: it was asked with the credential that was given, and not for what happens without.
        """
        self.last = answer
        if answer.status in _BUSY:
            raise Unchecked(f"the server is busy: {answer.received}")
        if is_ours and answer.turned_away:
            self.agent.turned_away = True
            given = self.wire.caller.secret
            raise Unchecked("the credential is not taken" if given else "the server asks for a credential: --token")

    def _remember(self, result: Json) -> None:
        task = result.get("task")
        if is_object(task) and state_in(result) not in ENDED:
            self.opened.append(str(task.get("id")))

    def message(self, text: str | None = None, **fields: Any) -> Json:
        """A new message of the user."""
        parts = [{"text": self.wishes.message if text is None else text}]
        return {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": parts, **fields}

    async def send(self, text: str | None = None, **fields: Any) -> Answer:
        """Send a text, and wait for the answer."""
        return await self.ask("SendMessage", {"message": self.message(text, **fields)})

    async def begin(self, text: str | None = None, **fields: Any) -> Answer:
        """Send a text, and wait for no more than the task."""
        params = {"message": self.message(text, **fields), "configuration": {"returnImmediately": True}}
        return await self.ask("SendMessage", params)

    async def task(self, id: str) -> Json:
        """The task as it is now."""
        answer = await self.ask("GetTask", {"id": id})
        return self.result(answer, "GET-STATE")

    # -- tasks to look at ----------------------------------------------------------------------------------------------

    async def first(self) -> Answer:
        """The answer to the plain message; sent once."""
        if self._first is None:
            self._first = await self.send()
        self.last = self._first
        return self._first

    async def fresh(self, text: str | None = None, **fields: Any) -> Json:
        """A new task; Unchecked where the agent makes none."""
        return self._task_in(await self.send(text, **fields))

    def _task_in(self, answer: Answer) -> Json:
        match answer.result:
            case {"task": {"id": str(), "status": {"state": str()}} as task}:
                return task
            case {"message": _}:
                raise Unchecked(NO_TASK)
            case _:
                raise Unchecked(f"no task: the message was answered with {answer.received}")

    async def ended(self) -> Json:
        """A task that has ended; the same one every time."""
        if self._ended is None:
            task = self._task_in(await self.first())
            if state_in(task) not in ENDED:
                await self.ask("CancelTask", {"id": task["id"]})
                task = await self.task(task["id"])
            if state_in(task) not in ENDED:
                raise Unchecked(f"the task has not ended, and was not to be canceled: it is {state_in(task)}")
            self._ended = task
        return self._ended

    async def waiting(self) -> Json:
        """A new task that waits for input."""
        text = self.wishes.asks
        if text is None and state_in(self._task_in(await self.first())) != _WAITING:
            raise Unchecked("the agent asked for no input; --asks TEXT is a message after which it does")
        task = await self.fresh(text)
        if state_in(task) != _WAITING:
            raise Unchecked(f"after the message of --asks the task is {state_in(task)}")
        return task

    async def lasting(self) -> Json:
        """A new task that is worked on."""
        if self.wishes.lasts is None:
            raise Unchecked("needs a task that is worked on for a while; --lasts TEXT is a message that makes one")
        begun = self._task_in(await self.begin(self.wishes.lasts))
        task = await self.task(begun["id"])
        if state_in(task) not in {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"}:
            raise Unchecked(f"after the message of --lasts the task is {state_in(task)} at once")
        return task

    async def unless_ended(self, answer: Answer, id: str) -> None:
        """A refusal because the task has ended in the meantime tells nothing."""
        if answer.refusal is not None and state_in(await self.task(id)) in ENDED:
            raise Unchecked("the task had ended too early; --lasts TEXT may be a message with more work")

    async def unfinished(self) -> Json:
        """A new task that has not ended."""
        try:
            return await self.lasting()
        except Unchecked:
            try:
                return await self.waiting()
            except Unchecked:
                why = "needs a task that does not end at once: --lasts TEXT or --asks TEXT is a message that makes one"
                raise Unchecked(why) from None
