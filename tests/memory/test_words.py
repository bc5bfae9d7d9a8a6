"""The words texts are found by, and how two rankings become one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin.memory import Found, Record, Scope, terms_of
from codin.memory._fusion import fused
from codin.memory._stop_words import telling


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  … !? \n", []),
        ("The Walrus, the carpenter", ["the", "walrus", "the", "carpenter"]),
        ("cats boxes stories classes buses", ["cat", "box", "story", "class", "buse"]),
        ("glass virus analysis gas", ["glass", "virus", "analysis", "gas"]),
        ("parseHtml", ["parsehtml", "parse", "html"]),
        ("snake_case kebab-case a.b", ["snake", "case", "kebab", "case", "a", "b"]),
        ("HTTP2 v1.0", ["http2", "v1", "0"]),
        ("Größe café ÉCOLE ﬁne", ["grosse", "cafe", "ecole", "fine"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("東", ["東"]),
        ("abc東京", ["abc", "東京"]),
        ('"a" OR NEAR(b*) -c; DROP', ["a", "or", "near", "b", "c", "drop"]),
        ("x" * 100, ["x" * 64]),
        ("\x00null\ud800half", ["null", "half"]),
    ],
)
def test_a_text_has_these_words(text: str, terms: Sequence[str]) -> None:
    assert terms_of(text) == list(terms)


@given(st.text())
def test_words_are_letters_and_digits_alone(text: str) -> None:
    for term in terms_of(text):
        assert 0 < len(term) <= 64
        assert "_" not in term
        assert terms_of(term)


@given(st.text())
def test_a_text_is_found_in_whatever_case_it_is_asked_for(text: str) -> None:
    plain = "".join(letter for letter in text if letter.isascii()).lower()
    # Capitals may be humps of a name, whose parts are found beside it.
    assert set(terms_of(plain)) <= set(terms_of(plain.upper()))


def test_accents_may_be_letters_of_their_own() -> None:
    assert terms_of("e\u0301cole") == terms_of("\u00e9cole") == ["ecole"]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("How do I stop a running job?", ["stop", "running", "job"]),
        ("What does «this» mean, and what's that?", ["mean"]),
        ("to be or not to be", ["to", "be", "or", "not"]),
        ("walrus walrus", ["walrus"]),
        ("", []),
    ],
)
def test_a_question_is_looked_for_by_what_it_is_about(query: str, terms: Sequence[str]) -> None:
    assert telling(terms_of(query)) == list(terms)


ADA = Scope("", "clerk", "ada")


def ranking(*names: str, scope: Scope = ADA) -> list[Found]:
    return [Found(scope, Record(name, name), 0.0) for name in names]


def names(found: Sequence[Found]) -> list[str]:
    return [one.record.id for one in found]


def test_being_good_in_both_beats_being_first_in_one() -> None:
    both = fused([ranking("a", "both", "x"), ranking("b", "both", "y")], [1, 1], 9)
    assert names(both)[0] == "both"
    assert set(names(both)) == {"a", "b", "both", "x", "y"}
    assert [one.score for one in both] == sorted((one.score for one in both), reverse=True)


def test_a_weight_decides_between_first_places() -> None:
    assert names(fused([ranking("a"), ranking("b")], [2, 1], 9)) == ["a", "b"]
    assert names(fused([ranking("a"), ranking("b")], [0.25, 1], 9)) == ["b", "a"]


def test_one_id_in_two_scopes_is_two_records() -> None:
    mine, ours = ADA, Scope("", "clerk")
    found = fused([ranking("a", scope=mine), ranking("a", scope=ours)], [1, 1], 9)
    assert {one.scope for one in found} == {mine, ours}


def test_fewer_are_the_best() -> None:
    assert names(fused([ranking("a", "b", "c"), []], [1, 1], 2)) == ["a", "b"]
    assert fused([[], []], [1, 1], 2) == []
