"""RFC 8785: its published vectors, what it refuses, and another implementation beside ours."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from codin.trust import canonical_json

# Appendix B: the bits of a double, and what is written for it.
NUMBERS = """
0000000000000000 0
8000000000000000 0
0000000000000001 5e-324
8000000000000001 -5e-324
7fefffffffffffff 1.7976931348623157e+308
ffefffffffffffff -1.7976931348623157e+308
4340000000000000 9007199254740992
c340000000000000 -9007199254740992
4430000000000000 295147905179352830000
44b52d02c7e14af5 9.999999999999997e+22
44b52d02c7e14af6 1e+23
44b52d02c7e14af7 1.0000000000000001e+23
444b1ae4d6e2ef4e 999999999999999700000
444b1ae4d6e2ef4f 999999999999999900000
444b1ae4d6e2ef50 1e+21
3eb0c6f7a0b5ed8c 9.999999999999997e-7
3eb0c6f7a0b5ed8d 0.000001
41b3de4355555553 333333333.3333332
41b3de4355555554 333333333.33333325
41b3de4355555555 333333333.3333333
41b3de4355555556 333333333.3333334
41b3de4355555557 333333333.33333343
becbf647612f3696 -0.0000033333333333333333
43143ff3c1cb0959 1424953923781206.2
"""


@pytest.mark.requirement("SIGN-NUMBERS")
@pytest.mark.parametrize("line", NUMBERS.split("\n")[1:-1])
def test_the_numbers_of_appendix_b(line: str) -> None:
    bits, expected = line.split()
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value).decode() == expected
    assert canonical_json(json.loads(expected)).decode() == expected  # also when a reader takes it for an integer


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no JSON number"):
        canonical_json([value])


@pytest.mark.requirement("SIGN-JCS", "SIGN-TEXT")
def test_the_example_of_section_3_2_2() -> None:
    document = rb"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert canonical_json(json.loads(document)).hex(" ") == (
        "7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c "
        "22 6e 75 6d 62 65 72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c "
        "31 65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 5d 2c "
        "22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d"
    )


@pytest.mark.requirement("SIGN-KEY-ORDER")
def test_names_are_sorted_by_their_utf_16_units() -> None:
    """The example of section 3.2.3: an emoji, beyond U+FFFF, stands before U+FB33, because its first unit is D83D."""
    document = r"""{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }"""
    assert list(json.loads(canonical_json(json.loads(document))).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_depth_is_bounded() -> None:
    deep: Any = "floor"
    for _ in range(64):
        deep = [deep]
    assert canonical_json(deep).count(b"[") == 64
    with pytest.raises(ValueError, match="too deeply"):
        canonical_json([deep])
    with pytest.raises(ValueError, match="too deeply"):
        canonical_json({"a": {"b": {}}}, max_depth=2)


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"\udfff": 1}, {1: 1}, b"bytes", {"a": {1, 2}}, object(), 2**53 + 1, -(10**400)],
    ids=["half a pair", "in a name", "name", "bytes", "set", "object", "no double", "beyond"],
)
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|Unicode|text|double"):
        canonical_json(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.requirement("SIGN-JCS")
@given(VALUES)
def test_it_is_what_another_implementation_writes(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(VALUES)
def test_read_and_written_again_it_is_the_same(value: Any) -> None:
    form = canonical_json(value)
    assert canonical_json(json.loads(form)) == form


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_same_number_for_its_reader(value: float) -> None:
    assert float(canonical_json(value)) == value
