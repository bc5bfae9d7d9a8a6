"""How a check ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codin.cli.check._answer import Answer

__all__ = ["Broken", "Finding", "Outcome", "Unchecked"]


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    """A rule is broken that is a MUST."""
    WARNED = "warned"
    """A recommendation is not kept, and every MUST that was looked at is."""
    UNCHECKED = "unchecked"
    """It could not be found out."""


@dataclass(frozen=True)
class Finding:
    """A rule that is not kept.

    Attributes:
        expected: what would be right.
        sent: what was asked; "" where nothing was.
    """

    rule: str
    expected: str
    sent: str
    received: str

    @classmethod
    def of(cls, rule: str, expected: str, answer: Answer | str) -> Finding:
        """What an answer breaks, or words for what was seen."""
        if isinstance(answer, str):
            return cls(rule, expected, "", answer)
        return cls(rule, expected, answer.sent, answer.received)


class Broken(Exception):
    """A check has found what it looks for."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.expected)
        self.finding = finding


class Unchecked(Exception):
    """It cannot be found out here; the text says why."""
