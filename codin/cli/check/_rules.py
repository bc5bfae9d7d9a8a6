"""The requirements that checks name: level, section, sentence. Written from specs/requirements.toml by `docs.check`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["RULES", "Rule", "groups", "rules"]

RULES = Path(__file__).with_name("rules.json")


class Rule(NamedTuple):
    """One row of the table."""

    level: str
    section: str
    sentence: str


@cache
def rules() -> Mapping[str, Rule]:
    """The rules by their ids."""
    return {name: Rule(*row) for name, row in json.loads(RULES.read_text(encoding="utf-8"))["rules"].items()}


@cache
def groups() -> Mapping[str, str]:
    """The titles of the groups, by what ids begin with."""
    return json.loads(RULES.read_text(encoding="utf-8"))["groups"]
