"""What the command carries of the table of requirements is what the table says."""

from __future__ import annotations

from collections import Counter

from codin.cli.check._catalog import CHECKS
from codin.cli.check._rules import RULES, groups, rules
from docs.check import text
from docs.conformance import TABLE, read


def test_the_file_is_what_the_table_says() -> None:
    assert RULES.read_text(encoding="utf-8") == text(), "it is out of date; run: .venv/bin/python -m docs.check"


def test_every_check_names_rules_of_the_table() -> None:
    _, rows = read(TABLE.read_text(encoding="utf-8"))
    known = {row.id: row for row in rows}
    for check in CHECKS:
        assert check.rules, check.name
        assert set(check.rules) <= set(known), check.name
        assert check.group in groups(), check.name
        of_servers = {known[rule].subject for rule in check.rules}
        assert of_servers <= {"server", "card", "signer", "push"}, check.name
        for rule in check.rules:
            assert not check.bindings or not known[rule].bindings or set(check.bindings) & set(known[rule].bindings)


def test_every_check_has_a_name_of_its_own_and_a_sentence() -> None:
    assert Counter(check.name for check in CHECKS).most_common(1)[0][1] == 1
    assert all(check.title.endswith(".") for check in CHECKS)
    assert not {check.name for check in CHECKS} & {rule.lower() for rule in rules() if "-" not in rule}
