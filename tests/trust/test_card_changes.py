"""What changed is told so that a person can decide, and by us, not by the peer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.trust import card_changes
from tests.client.scripted import card

URL = "https://agents.example/"
BASE: dict[str, Any] = {
    "skills": [
        {"id": "count", "name": "Count", "description": "Counts.", "tags": ["a"]},
        {"id": "list", "name": "List", "description": "Lists.", "tags": []},
    ],
    "securitySchemes": {"key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}}},
    "capabilities": {"streaming": True, "extensions": [{"uri": "urn:x", "params": {"a": 1}}]},
}


def changes(**fields: Any) -> list[str]:
    return card_changes(card(URL, **BASE).to_dict(), card(URL, **{**BASE, **fields}))


def interface(url: str, binding: str = "JSONRPC") -> dict[str, str]:
    return {"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}


def skill(number: int, **fields: Any) -> dict[str, Any]:
    return {**BASE["skills"][number], **fields}


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, []),
        ({"version": "2", "iconUrl": "https://x.example/i", "documentationUrl": "https://x.example"}, []),
        ({"skills": BASE["skills"][::-1]}, []),
        ({"name": "other"}, ["name: scripted -> other"]),
        ({"skills": [skill(0)]}, ["skill removed: list"]),
        ({"skills": [*BASE["skills"], {"id": "pay", "name": "Pay"}]}, ["skill added: pay"]),
        ({"skills": [skill(0, description="Counts all."), skill(1)]},
         ["skill count description: Counts. -> Counts all."]),
        ({"skills": [skill(0, tags=["a", "b"]), skill(1)]}, ["skill count tags: ['a'] -> ['a', 'b']"]),
        ({"skills": [skill(0), skill(0, description="Other.")]},
         ["skill removed: list", "skill added: count (2) (Other.)"]),
        ({"supportedInterfaces": [interface("https://evil.example/")]},
         ["address removed: https://agents.example/", "address added: https://evil.example/ (JSONRPC)"]),
        ({"supportedInterfaces": [interface(URL, "GRPC")]},
         ["address https://agents.example/ protocolBinding: JSONRPC -> GRPC"]),
        ({"capabilities": {"extensions": [{"uri": "urn:x", "params": {"a": 2}}]}},
         ["streaming: True -> nothing", "extension urn:x params a: 1 -> 2"]),
        ({"capabilities": {"streaming": True}}, ["extension removed: urn:x"]),
        ({"securitySchemes": {}},
         ["security scheme key apiKeySecurityScheme location: header -> nothing",
          "security scheme key apiKeySecurityScheme name: X-Key -> nothing"]),
        ({"defaultInputModes": ["image/png"]}, ["reads: ['text/plain'] -> ['image/png']"]),
        ({"provider": {"organization": "Evil", "url": "https://e.example"}},
         ["provider url: nothing -> https://e.example", "provider organization: nothing -> Evil"]),
    ],
)  # fmt: skip
def test_the_lines(fields: dict[str, Any], lines: list[str]) -> None:
    assert sorted(changes(**fields)) == sorted(lines)


def test_the_order_of_addresses_counts() -> None:
    two = [interface(URL), interface("https://b.example/")]
    approved, now = card(URL, supportedInterfaces=two), card(URL, supportedInterfaces=two[::-1])
    assert card_changes(approved.to_dict(), now) == ["address: in another order; the first that fits is called"]


def test_an_identity_that_is_new_at_every_start_is_no_change() -> None:
    cards = [
        card(URL, capabilities={"extensions": [{"uri": a2a.CALL_EXTENSION, "params": {"agent": f"a@{number}"}}]})
        for number in range(2)
    ]
    assert card_changes(cards[0].to_dict(), cards[1]) == []


def test_a_peer_says_nothing_to_a_terminal() -> None:
    evil = "\x1b[2J\r\nkey: approved\x07\u202etxt"
    lines = changes(name=evil, skills=[{"id": evil, "name": evil, "description": evil}], capabilities={
        "extensions": [{"uri": evil, "params": {evil: evil}}],
    })  # fmt: skip
    assert lines
    assert all(line.isprintable() for line in lines)


def test_a_long_text_is_cut_and_many_changes_are_counted() -> None:
    assert max(map(len, changes(description="x" * 10_000))) < 200
    many = changes(skills=[{"id": f"s{number}", "name": "s"} for number in range(1000)])
    assert len(many) == 101
    assert many[-1] == "and more"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["skills", "url", "id", "extensions", "supportedInterfaces", "x"]), inner, max_size=3
    ),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["skills", "x"]), anything), st.dictionaries(st.text(max_size=3), anything))
def test_whatever_an_extension_holds_is_compared(old: dict[str, Any], new: dict[str, Any]) -> None:
    def made(params: dict[str, Any]) -> a2a.AgentCard:
        return card(URL, capabilities={"extensions": [{"uri": "urn:x", "params": params}]})

    lines = card_changes(made(old).to_dict(), made(new))
    assert card_changes(made(old).to_dict(), made(old)) == []
    assert all(line.isprintable() for line in lines)
