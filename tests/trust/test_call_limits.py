"""The limits of a call as they travel: what is said is read again, and what nobody may say is refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.errors import ConfigError
from codin.trust import Budget, CallLimits, agent_of, identity_in, identity_of, kid_of
from tests.client.scripted import card as plain_card

SCHEMA = json.loads((Path(__file__).parents[2] / "specs" / "call-v1.json").read_text())
VALIDATOR: Any = jsonschema.Draft202012Validator({**SCHEMA, "$ref": "#/$defs/limits"})

tokens = st.none() | st.integers(0, 10**15)
money = st.none() | st.floats(0, 10**15)
identities = st.from_regex(r"[!-~]{1,60}@[A-Za-z0-9_-]{8}", fullmatch=True)
limits = st.builds(
    CallLimits,
    path=st.lists(identities, max_size=64).map(tuple),
    deadline=st.none() | st.integers(0, 253402300799999),
    budget=st.builds(Budget, tokens=tokens, money=money),
    prev=st.none() | st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
)


def header(value: object) -> bytes:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


@given(limits)
def test_what_is_said_is_read_again_and_is_what_the_schema_promises(said: CallLimits) -> None:
    assert CallLimits.from_claim(json.loads(json.dumps(said.to_claim()))) == said
    assert CallLimits.from_header(said.to_header().encode()) == said
    VALIDATOR.validate(said.to_claim())


def test_the_schema_is_one_and_is_that_of_the_extension() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == a2a.CALL_EXTENSION
    assert SCHEMA["properties"]["extension"]["properties"]["uri"] == {"const": a2a.CALL_EXTENSION}


def test_what_is_not_known_is_left_for_later_versions() -> None:
    assert CallLimits.from_claim({"path": ["a@12345678"], "colour": "red"}) == CallLimits(("a@12345678",))
    assert CallLimits.from_header(b"e30") == CallLimits()


LIES: list[dict[str, Any]] = [
    {"deadline": -1},
    {"deadline": 253402300800000},
    {"deadline": 1.5},
    {"deadline": True},
    {"deadline": "soon"},
    {"deadline": 10**400},
    {"budget": {"tokens": -1}},
    {"budget": {"tokens": 1.5}},
    {"budget": {"tokens": True}},
    {"budget": {"tokens": 10**16}},
    {"budget": {"tokens": "many"}},
    {"budget": {"money": -0.01}},
    {"budget": {"money": 1e300}},
    {"budget": {"money": None, "tokens": []}},
    {"budget": 5},
    {"path": "a@12345678"},
    {"path": [""]},
    {"path": [7]},
    {"path": [None]},
    {"path": ["a b@12345678"]},
    {"path": ["a\n@12345678"]},
    {"path": ["ä@12345678"]},
    {"path": ["x" * 257]},
    {"path": {"0": "a@12345678"}},
    {"prev": "short"},
    {"prev": 5},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_junk_is_refused_by_the_parser_and_by_the_schema(lie: dict[str, Any]) -> None:
    with pytest.raises(a2a.InvalidRequest) as caught:
        CallLimits.from_header(header(lie))
    assert caught.value.reason == "CALL_INVALID"
    assert not VALIDATOR.is_valid(lie)


@pytest.mark.parametrize(
    "value",
    [b"", b"!!!", b"e", b"bm90IGpzb24", header([]), header("x"), header(None), header(5), b"e30=" * 2,
     b"eyJidWRnZXQiOnsibW9uZXkiOk5hTn19", header({"path": []})[:-2], b"x" * 16385,
     urlsafe_b64encode(b"[" * 12000)],
)  # fmt: skip
def test_what_is_no_base64url_of_a_json_object_is_refused(value: bytes) -> None:
    with pytest.raises(a2a.InvalidRequest):
        CallLimits.from_header(value)


def test_a_claim_of_a_thousand_hops_is_refused_by_its_length() -> None:
    with pytest.raises(a2a.UnsupportedOperation) as caught:
        CallLimits.from_header(header({"path": ["a@1"] * 1000}))
    assert caught.value.reason == "CALL_TOO_DEEP"


@given(st.builds(Budget, tokens=tokens, money=money), st.builds(Budget, tokens=tokens, money=money))
def test_the_smaller_of_two_budgets_is_covered_by_both(one: Budget, other: Budget) -> None:
    both = one.within(other)
    assert both == other.within(one)
    assert one.covers(both)
    assert other.covers(both)


@pytest.mark.parametrize("wrong", [{"tokens": -1}, {"tokens": 1.5}, {"money": float("nan")}, {"money": "5"}])
def test_a_budget_of_less_than_nothing_is_a_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Budget(**wrong)


def test_an_identity_is_the_id_and_the_key_or_something_random() -> None:
    assert identity_of("shout", "KID") == "shout@KID"
    assert identity_of("shout") != identity_of("shout")
    assert identity_of("ö @ü", "KID") == "%C3%B6%20%40%C3%BC@KID"
    assert (agent_of("%C3%B6%20%40%C3%BC@KID"), kid_of("%C3%B6%20%40%C3%BC@KID")) == ("%C3%B6%20%40%C3%BC", "KID")
    assert agent_of("nobody") == ""


def card(*extensions: a2a.AgentExtension) -> a2a.AgentCard:
    return plain_card("http://a/", capabilities={"extensions": [each.to_dict() for each in extensions]})


@pytest.mark.parametrize("params", [None, {}, {"agent": 5}, {"agent": ""}, {"agent": "a b"}, {"agent": "x" * 300}])
def test_a_card_that_declares_no_identity_has_none(params: dict[str, Any] | None) -> None:
    assert identity_in(card()) is None
    assert identity_in(card(a2a.AgentExtension(uri=a2a.CALL_EXTENSION, params=params))) is None
    assert identity_in(card(a2a.AgentExtension(uri=a2a.CALL_EXTENSION, params={"agent": "a@k"}))) == "a@k"
