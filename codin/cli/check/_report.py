"""What came of all checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from codin.cli.check._bench import Agent
from codin.cli.check._check import Check
from codin.cli.check._verdict import Finding, Outcome

__all__ = ["Report", "Result"]


@dataclass(frozen=True)
class Result:
    """How one check ended over one binding.

    Attributes:
        binding: "" for what is no binding's.
        findings: the broken MUST first, then what is recommended.
        why: it could not be checked.
        took: seconds.
    """

    check: Check
    binding: str
    outcome: Outcome
    findings: Sequence[Finding] = ()
    why: str = ""
    took: float = 0.0


@dataclass(frozen=True)
class Report:
    """All results, in the order of the checks."""

    agent: Agent
    results: Sequence[Result]

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    @property
    def held(self) -> tuple[int, int]:
        """In how many results every MUST is kept, and how many there are in which that was looked at."""
        counts = self.counts
        held = counts[Outcome.PASSED] + counts[Outcome.WARNED]
        return held, held + counts[Outcome.FAILED]

    @property
    def name(self) -> str:
        return str(self.agent.card.get("name") or "an agent without a name")
