"""The limits a call is made within, as they travel from agent to agent: specs/call-v1.json.

They only ever restrict the run that the call begins, so anybody may say them; a signature says who said them.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from typing import Any, NoReturn, Self, cast
from urllib.parse import quote

from pydantic_core import from_json, to_json

from codin import a2a
from codin.errors import ConfigError

__all__ = ["CALL_HEADER", "CALL_REASONS", "Budget", "CallLimits", "agent_of", "identity_in", "identity_of", "kid_of"]

CALL_HEADER = "Codin-Call"
"""The request header with the limits of a call: base64url of their JSON, for a peer that no signed token reaches."""

CALL_REASONS = frozenset({"CALL_CYCLE", "CALL_TOO_DEEP", "CALL_EXPIRED", "CALL_BUDGET_SPENT"})
"""Why a call is refused for its limits, by its caller or its callee: the `reason` of an UnsupportedOperation."""

_LONGEST_PATH = 64
_LONGEST_HEADER = 16 * 1024
_LATEST = 253402300799999  # the last millisecond of the year 9999
_MOST = 10**15
_IDENTITY = re.compile(r"[!-~]{1,256}")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")


def identity_of(agent: str, kid: str | None = None) -> str:
    """The identity of an agent: its id, and its key; without a key something random, as every process differs."""
    return f"{quote(agent, safe='')}@{kid or token_urlsafe(9)}"


def agent_of(identity: str) -> str:
    """The id of the agent in an identity, percent-encoded as it stands there; "" where there is none."""
    return identity.rpartition("@")[0]


def kid_of(identity: str) -> str:
    """The thumbprint in an identity; something random for an agent without a key."""
    return identity.rpartition("@")[2]


def identity_in(card: a2a.AgentCard) -> str | None:
    """The identity that a card declares; None for an agent that takes no limits."""
    for extension in card.capabilities.extensions:
        if extension.uri == a2a.CALL_EXTENSION:
            said = (extension.params or {}).get("agent")
            return said if isinstance(said, str) and _IDENTITY.fullmatch(said) else None
    return None


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent. None is no limit.

    Args:
        tokens: of models, in and out.
        money: in whatever unit the agents of a mesh agree on.

    Raises:
        ConfigError: less than nothing, or no number.
    """

    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and not (type(self.tokens) is int and _is_amount(self.tokens)):
            raise ConfigError(f"{self.tokens!r} is no number of tokens", hint="a whole number from 0 on, or None")
        if self.money is not None and not _is_amount(self.money):
            raise ConfigError(f"{self.money!r} is no amount of money", hint="a number from 0 on, or None")

    @property
    def spent(self) -> bool:
        """Whether nothing is left of something."""
        return (self.tokens is not None and self.tokens <= 0) or (self.money is not None and self.money <= 0)

    def covers(self, asked: Budget) -> bool:
        """Whether all that is asked for is here."""
        for have, wanted in ((self.tokens, asked.tokens), (self.money, asked.money)):
            if have is not None and wanted is not None and have < wanted:
                return False
        return True

    def within(self, other: Budget) -> Budget:
        """The smaller of the two, each way."""
        return Budget(_least(self.tokens, other.tokens), _least(self.money, other.money))

    def less(self, tokens: float, money: float) -> Budget:
        """What is left when so much is gone."""
        return Budget(
            None if self.tokens is None else max(0, self.tokens - int(tokens)),
            None if self.money is None else max(0.0, self.money - money),
        )


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What a call may take.

    Args:
        path: the identities of the agents the call came through, the first caller first. Its length is the number of
            hops.
        deadline: when it has to be done, in milliseconds since 1970.
        budget: what is left to spend.
        prev: base64url of the SHA-256 of the last of the links.
        chain: the signed links of the hops so far. They travel beside the rest, and are in no log.
    """

    path: tuple[str, ...] = ()
    deadline: int | None = None
    budget: Budget = Budget()
    prev: str | None = None
    chain: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def without_deadline(self) -> Self:
        """The same for a turn that comes later."""
        return replace(self, deadline=None)

    def to_claim(self) -> dict[str, Any]:
        """The JSON object. What limits nothing is left out."""
        budget = {name: left for name in ("tokens", "money") if (left := getattr(self.budget, name)) is not None}
        claim: dict[str, Any] = {"path": list(self.path)} if self.path else {}
        if self.deadline is not None:
            claim["deadline"] = self.deadline
        if budget:
            claim["budget"] = budget
        if self.prev is not None:
            claim["prev"] = self.prev
        return claim

    def to_header(self) -> str:
        """The value of the header."""
        return urlsafe_b64encode(to_json(self.to_claim())).decode().rstrip("=")

    @classmethod
    def from_claim(cls, claim: object) -> Self:
        """Read what somebody said. Members that are not known are for later versions and left alone.

        Raises:
            UnsupportedOperation: the path is longer than any may be (reason CALL_TOO_DEEP).
            InvalidRequest: it is something else than limits of a call (reason CALL_INVALID).
        """
        if not isinstance(claim, Mapping):
            _refuse("the limits of the call are no JSON object")
        said = cast("Mapping[str, Any]", claim)
        deadline, prev = said.get("deadline"), said.get("prev")
        if deadline is not None and not (type(deadline) is int and 0 <= deadline <= _LATEST):
            _refuse("deadline is no time in milliseconds since 1970")
        if prev is not None and not (isinstance(prev, str) and _DIGEST.fullmatch(prev)):
            _refuse("prev is no SHA-256 in base64url")
        return cls(_path(said.get("path", ())), deadline, _budget(said.get("budget")), prev)

    @classmethod
    def from_header(cls, value: bytes) -> Self:
        """Read the value of the header. Raises as `from_claim` does."""
        if len(value) > _LONGEST_HEADER:
            _refuse(f"the {CALL_HEADER} header is longer than {_LONGEST_HEADER} bytes")
        try:
            return cls.from_claim(from_json(b64decode(value + b"=" * (-len(value) % 4), b"-_", validate=True)))
        except ValueError as error:  # no base64, or no JSON
            raise _invalid(f"the {CALL_HEADER} header is not base64url of JSON") from error


def _path(said: object) -> tuple[str, ...]:
    if not isinstance(said, list | tuple):
        _refuse("path is no list")
    path = cast("list[object]", said)
    if len(path) > _LONGEST_PATH:
        raise a2a.UnsupportedOperation(
            f"this call has come through {len(path)} agents; {_LONGEST_PATH} are the most there may be",
            reason="CALL_TOO_DEEP",
            hint="do the work here, or give it back to the caller",
        )
    for identity in path:
        if not (isinstance(identity, str) and _IDENTITY.fullmatch(identity)):
            _refuse("path holds something that is no identity of an agent")
    return tuple(cast("list[str]", path))


def _budget(said: object) -> Budget:
    if said is None:
        return Budget()
    if not isinstance(said, Mapping):
        _refuse("budget is no JSON object")
    left = cast("Mapping[str, object]", said)
    try:
        return Budget(cast("int | None", left.get("tokens")), cast("float | None", left.get("money")))
    except ConfigError as error:
        raise _invalid(f"budget: {error.message}") from None


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast("float", value) <= _MOST  # NaN is not


def _least(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else min(one, other)


def _invalid(problem: str) -> a2a.InvalidRequest:
    return a2a.InvalidRequest(problem, reason="CALL_INVALID", hint="specs/call-v1.json says what it looks like")


def _refuse(problem: str) -> NoReturn:
    raise _invalid(problem)
