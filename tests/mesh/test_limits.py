"""The bounds of a mesh are checked when they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from codin.errors import ConfigError
from codin.mesh import MeshLimits


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("timeout", -1, "a number of seconds above 0"),
        ("lookup", "5", "a number of seconds above 0"),
        ("fresh", math.nan, "a number of seconds"),
        ("rest", -1, "a number of seconds"),
        ("longest_rest", None, "a number of seconds"),
        ("in_flight", 0, "a whole number above 0"),
        ("failures", 1.5, "a whole number above 0"),
        ("peers", True, "a whole number above 0"),
        ("fan_out", -1, "a whole number above 0"),
        ("backoff", 3, "a Backoff"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(field: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MeshLimits(**{field: value})
    assert caught.value.message == f"MeshLimits.{field}={value!r} is not {said}"
    assert MeshLimits(fresh=0, rest=0.5)
