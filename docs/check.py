"""Writes codin/cli/check/rules.json from specs/requirements.toml: `python -m docs.check`.

The command carries of the table what its checks name: level, section and sentence of each rule.
"""

from __future__ import annotations

import json

from codin.cli.check._catalog import CHECKS
from codin.cli.check._rules import RULES
from docs.conformance import TABLE, read

__all__ = ["text"]


def text() -> str:
    """The file as it has to be."""
    titles, rows = read(TABLE.read_text(encoding="utf-8"))
    named = {rule for check in CHECKS for rule in check.rules}
    rules = {row.id: [row.level, row.section, row.rule] for row in rows if row.id in named}
    groups = {name: title for name, title in titles.items() if any(id.partition("-")[0] == name for id in rules)}
    return json.dumps({"groups": groups, "rules": rules}, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    RULES.write_text(text(), encoding="utf-8")
