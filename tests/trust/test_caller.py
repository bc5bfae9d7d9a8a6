"""The owner of a task: what makes two callers the same, and what never leaves one."""

from __future__ import annotations

import pickle

import pytest

from codin.trust import ANONYMOUS, Caller


def test_callers_are_equal_by_value_and_can_be_keys() -> None:
    alice = Caller("alice", tenant="acme", scopes=frozenset({"read"}), claims={"iss": "https://issuer"})
    again = Caller("alice", tenant="acme", scopes=frozenset({"read"}), claims={"iss": "https://issuer"})
    assert {alice: 1}[again] == 1
    assert alice != Caller("alice", tenant="other", scopes=frozenset({"read"}), claims={"iss": "https://issuer"})


def test_only_the_anonymous_id_is_not_authenticated() -> None:
    assert Caller("alice").authenticated
    assert not ANONYMOUS.authenticated
    assert not pickle.loads(pickle.dumps(ANONYMOUS)).authenticated
    assert not Caller("anonymous", tenant="acme", scopes=frozenset({"admin"})).authenticated


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an id"):
        Caller("")


def test_claims_do_not_reach_a_log() -> None:
    assert "s3cret" not in repr(Caller("alice", claims={"token": "s3cret"}))
