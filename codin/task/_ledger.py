"""What a task has cost, with everything that was done for it elsewhere, and what is left of its budget.

A bill is cumulative: it says what a task has cost in all its turns so far, and the agents it called with it. So the
same bill read twice, in a repeated answer or a stream that was taken up again, adds up to the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from pydantic_core import from_json, to_json

from codin.task._clock import now_ms
from codin.task._entry import Entry, PrivateEntry, StatusEntry
from codin.trust import Budget, CallLimits

__all__ = ["USAGE_KEY", "Bill", "Ledger", "bill_in", "limits_entry", "limits_in"]

USAGE_KEY = "urn:codin:a2a:usage:v1"
"""The key of a task's bill in the metadata of the statuses it rests with."""

Bill: TypeAlias = Mapping[str, int | float]

_MOST_NAMES = 32
_LONGEST_NAME = 64
_MOST = 10**15


def bill_in(metadata: object) -> dict[str, int | float]:
    """The bill in the metadata of a task or message. A peer wrote it: what is no plain count is left out."""
    if not isinstance(metadata, Mapping):
        return {}
    said = cast("Mapping[str, object]", metadata).get(USAGE_KEY)
    if not isinstance(said, Mapping):
        return {}
    bill: dict[str, int | float] = {}
    for name, count in cast("Mapping[str, object]", said).items():
        if isinstance(count, bool) or not isinstance(count, int | float) or len(name) > _LONGEST_NAME:
            continue
        if 0 <= count <= _MOST and len(bill) < _MOST_NAMES:
            bill[name] = count
    return bill


def spent(bill: Bill) -> tuple[float, float]:
    """The tokens and the money in a bill. Some agents count all tokens, some those in and out, some both."""
    in_and_out = bill.get("input_tokens", 0) + bill.get("output_tokens", 0)
    return max(bill.get("total_tokens", 0), in_and_out), bill.get("money", 0)


def limits_entry(limits: CallLimits) -> PrivateEntry:
    """The limits a message came with, as they are recorded beside it."""
    return PrivateEntry("limits", now_ms(), to_json(limits.to_claim()))


def limits_in(entries: Iterable[Entry]) -> CallLimits | None:
    """The limits that hold by a log: the newest. Their deadline was for the turn they came with."""
    limits: CallLimits | None = None
    for entry in entries:
        if entry.kind == "limits":
            limits = CallLimits.from_claim(from_json(entry.body))
        elif entry.kind == "input" and limits is not None:
            limits = limits.without_deadline()
    return limits


class Ledger:
    """The account of one run: what earlier turns and other agents have cost, and which part of the budget is free.

    What the run itself has cost is its own to count; it is handed in as `own`.

    Attributes:
        others: the counts of everything else.
    """

    __slots__ = ("_base", "_granted", "_known", "_lost", "_settled", "_shares", "_whole", "others")

    def __init__(self, whole: Budget) -> None:
        """Args: whole: what the task may cost in all its turns."""
        self.others: dict[str, int | float] = {}
        self._whole = whole
        self._granted = Budget()
        self._base: tuple[float, float] = (0, 0)  # what the task had cost when that was granted
        self._known: dict[str, Bill] = {}  # by task of a peer: how much of its bill is in `others`
        self._shares: list[Budget] = []  # of calls that are under way
        self._lost: list[Budget] = []  # of calls whose cost nobody knows
        self._settled = asyncio.Event()

    @classmethod
    def read(cls, entries: Iterable[Entry], whole: Budget) -> Ledger:
        """Take the account up again from the log of a task."""
        ledger = cls(whole)
        for entry in entries:
            if isinstance(entry, StatusEntry):
                if entry.metadata is not None and USAGE_KEY in entry.metadata:
                    ledger.others = bill_in(entry.metadata)
            elif entry.kind == "limits":
                ledger.grant(CallLimits.from_claim(from_json(entry.body)).budget, {})
            elif entry.kind == "call":
                ledger._recall(from_json(entry.body))
        return ledger

    def _recall(self, record: dict[str, Any]) -> None:
        if "bill" in record:
            self._known[record["task"]] = record["bill"]
            self.others = record["total"]

    def grant(self, budget: Budget, own: Bill) -> None:
        """From here on this may be spent: what a message came with."""
        self._granted = budget
        self._base = spent(self.total(own))

    def total(self, own: Bill) -> dict[str, int | float]:
        """The task's bill."""
        return _sum(self.others, own)

    def free(self, own: Bill) -> Budget:
        """What is left and not reserved by a call."""
        tokens, money = spent(self.total(own))
        left = self._whole.less(tokens, money).within(
            self._granted.less(max(0, tokens - self._base[0]), max(0, money - self._base[1]))
        )
        for share in (*self._shares, *self._lost):
            left = left.less(share.tokens or 0, share.money or 0)
        return left

    async def reserve(self, asked: Budget | None, own: Bill) -> Budget:
        """A share for one call: what is asked for, else all that is free. Waits for calls that may give some back.

        Returns:
            The share; one of which nothing is left says that the budget is spent.
        """
        while True:
            free = self.free(own)
            enough = not free.spent and (asked is None or free.covers(asked))
            if enough or not self._shares:
                share = free if asked is None else asked.within(free)
                self._shares.append(share)
                return share
            await self._settled.wait()

    def settle(self, share: Budget, *, known: bool = True) -> None:
        """A call is over, and its share free again; one whose cost is not known may have spent all of it."""
        self._shares.remove(share)
        if not known:
            self._lost.append(share)
        self._settled.set()
        self._settled = asyncio.Event()

    def charge(self, task: str, bill: Bill, own: Bill) -> PrivateEntry | None:
        """Add what a peer's task has cost since its last bill.

        Args:
            task: names the task among those of all peers.

        Returns:
            The record of it; None when that is nothing.
        """
        before = self._known.get(task, {})
        more = {name: count - before.get(name, 0) for name, count in bill.items() if count > before.get(name, 0)}
        if not more:
            return None
        self.others = _sum(self.others, more)
        self._known[task] = {**before, **bill}
        record = {"task": task, "bill": self._known[task], "total": self.total(own)}
        return PrivateEntry("call", now_ms(), to_json(record))


def _sum(one: Bill, other: Bill) -> dict[str, int | float]:
    total = dict(one)
    for name, count in other.items():
        total[name] = total.get(name, 0) + count
    return total
