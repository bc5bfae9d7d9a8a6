"""How long a process that has ended rests."""

from __future__ import annotations

from codin.cli.workspace._restarts import Restarts


def test_each_rest_is_twice_as_long_until_it_is_left_alone() -> None:
    policy = Restarts(first=1.0, limit=4, window=60.0, chance=lambda: 0.5)
    assert [policy.after(now) for now in (0.0, 10.0, 20.0, 30.0)] == [1.0, 2.0, 4.0, None]


def test_who_ends_seldom_goes_on_for_ever() -> None:
    policy = Restarts(first=1.0, limit=3, window=60.0, chance=lambda: 0.5)
    assert {policy.after(now * 40.0) for now in range(100)} == {1.0, 2.0}


def test_somebody_has_changed_something() -> None:
    policy = Restarts(first=1.0, limit=2, window=60.0, chance=lambda: 0.5)
    assert (policy.after(0.0), policy.after(1.0)) == (1.0, None)
    policy.forget()
    assert policy.after(2.0) == 1.0


def test_processes_do_not_start_in_step() -> None:
    rests = {Restarts(first=1.0).after(0.0) for _ in range(20)}
    assert len(rests) > 10
    assert all(rest is not None and 0.75 <= rest <= 1.25 for rest in rests)
