"""The circuit breaker and the bulkhead, against models that hypothesis drives."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from codin import a2a
from codin.errors import CircuitOpen, ConfigError, PeerBusy, TransportError
from codin.mesh import MeshLimits
from codin.mesh._breaker import Breaker
from codin.mesh._gate import Gate, Passage
from tests.mesh.clock import ManualClock

LIMITS = MeshLimits(failures=3, rest=2.0, longest_rest=5.0, in_flight=4)


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time goes on; the model counts what a reader of the docs would."""

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.breaker = Breaker(LIMITS, self.clock)
        self.failures = 0
        self.rest = LIMITS.rest
        self.open_until: float | None = None
        self.current: list[int] = []  # admitted since the circuit last changed
        self.old: list[int] = []

    @rule()
    def admit(self) -> None:
        era = self.breaker.admit()
        if self.open_until is None:
            assert era is not None
        elif self.clock.time < self.open_until:
            assert era is None
        else:
            assert (era is None) == bool(self.current)  # one probe at a time
        if era is not None:
            self.current.append(era)

    @precondition(lambda self: bool(self.current))
    @rule(worked=st.sampled_from([True, False, None]), data=st.data())
    def settle(self, worked: bool | None, data: st.DataObject) -> None:
        era = self.current.pop(data.draw(st.integers(0, len(self.current) - 1)))
        self.breaker.settle(era, worked)
        if worked:
            self.failures = 0
            if self.open_until is not None:
                self._change(None)
                self.rest = LIMITS.rest
        elif worked is False:
            self.failures += 1
            if self.open_until is not None or self.failures >= LIMITS.failures:
                self._change(self.clock.time + self.rest)
                self.rest = min(2 * self.rest, LIMITS.longest_rest)

    @precondition(lambda self: bool(self.old))
    @rule(worked=st.booleans())
    def settle_late(self, worked: bool) -> None:
        before = self.breaker.circuit, self.breaker.failures, self.breaker.rest
        self.breaker.settle(self.old.pop(), worked)
        assert (self.breaker.circuit, self.breaker.failures, self.breaker.rest) == before

    @rule(seconds=st.floats(0.1, 6.0))
    def wait(self, seconds: float) -> None:
        self.clock.time += seconds

    def _change(self, open_until: float | None) -> None:
        self.open_until = open_until
        self.old, self.current = self.old + self.current, []

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "breaker"):
            return
        expected = "closed"
        if self.open_until is not None:
            expected = "open" if self.clock.time < self.open_until else "half-open"
        assert self.breaker.circuit == expected
        assert self.breaker.failures == self.failures


class GateMachine(RuleBasedStateMachine):
    """Whatever comes and goes, the bound holds, every way out gives the place back, and a full gate is no failure."""

    @initialize()
    def begin(self) -> None:
        self.gate = Gate("x", MeshLimits(failures=10_000, in_flight=4), ManualClock())
        self.passages: list[Passage] = []

    @rule()
    def enter(self) -> None:
        full = len(self.passages) == 4
        assert self.gate.passable is not full
        if full:
            with pytest.raises(PeerBusy):
                self.gate.enter()
        else:
            self.passages.append(self.gate.enter())

    @precondition(lambda self: bool(self.passages))
    @rule(error=st.sampled_from([None, TransportError("lost"), a2a.Overloaded("busy"), GeneratorExit()]))
    def leave(self, error: BaseException | None) -> None:
        self.passages.pop().leave(error)

    @precondition(lambda self: bool(self.passages))
    @rule(heard=st.booleans())
    def withdraw(self, heard: bool) -> None:
        passage = self.passages.pop()
        if heard:
            passage.hear()
        passage.withdraw()

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "gate"):
            assert self.gate.in_flight == len(self.passages) <= 4


TestBreaker = BreakerMachine.TestCase
TestBulkhead = GateMachine.TestCase


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (TransportError("lost"), 1),
        (a2a.InternalError("broken"), 1),
        (a2a.Overloaded("busy"), 0),
        (a2a.TaskNotFound("no"), 0),
        (ConfigError("our own"), 0),
        (None, 0),
    ],
)
def test_only_what_is_the_peers_fault_counts_against_it(error: Exception | None, failures: int) -> None:
    gate = Gate("x", LIMITS, ManualClock())
    gate.enter().leave(error)
    assert gate.breaker.failures == failures


def test_an_open_circuit_says_who_and_when() -> None:
    gate = Gate("echo", LIMITS, ManualClock())
    for _ in range(3):
        gate.enter().leave(TransportError("lost"))
    with pytest.raises(CircuitOpen, match=r"'echo' failed 3 times in a row.*It is tried again in 2\.0 s"):
        gate.enter()


def test_an_answer_is_measured_once_and_a_probe_that_is_heard_closes_the_circuit() -> None:
    clock = ManualClock()
    gate = Gate("x", LIMITS, clock)
    for _ in range(3):
        gate.enter().leave(TransportError("lost"))
    clock.time += LIMITS.rest
    probe = gate.enter()
    clock.time += 1.0
    probe.hear()
    assert gate.breaker.circuit == "closed"
    clock.time += 100.0
    probe.leave()
    assert (gate.latency, gate.in_flight) == (1.0, 0)
