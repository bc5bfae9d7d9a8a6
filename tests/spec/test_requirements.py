"""Every rule of the table has a test, every mark names a rule, and the page shows both."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from docs.conformance import PAGE, TABLE, Proof, Requirement, page, problems, proofs, read

ROW = Requirement("SEND-X", "3.1", "MUST", "server", ("JSONRPC",), "It holds.")
PROOF = Proof("tests/test_x.py", "test_x", ("SEND-X",))
OPEN = replace(ROW, status="open", why="It is not there yet.")


def test_every_rule_is_proved_or_says_why_not() -> None:
    groups, rows = read(TABLE.read_text(encoding="utf-8"))
    assert problems(groups, rows, proofs()) == []


def test_the_page_is_what_the_table_and_the_marks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "it is out of date; run: .venv/bin/python -m docs.conformance"


@pytest.mark.parametrize(
    ("row", "proof", "says"),
    [
        (ROW, PROOF, None),
        (OPEN, None, None),
        (ROW, None, "has no test"),
        (OPEN, PROOF, "not open any more"),
        (ROW, replace(PROOF, ids=("SEND-X", "SEND-Y")), "SEND-Y, which is no row"),
        (replace(ROW, id="OTHER-X"), replace(PROOF, ids=("OTHER-X",)), "no title"),
        (replace(ROW, level="OUGHT"), PROOF, "no level"),
        (replace(ROW, subject="moon"), PROOF, "no subject"),
        (replace(ROW, bindings=("SMOKE",)), PROOF, "no bindings"),
        (replace(ROW, rule=""), PROOF, "a sentence"),
        (replace(OPEN, why=""), None, "with why"),
        (replace(OPEN, status="done"), None, "with why"),
    ],
)
def test_what_is_wrong_is_seen(row: Requirement, proof: Proof | None, says: str | None) -> None:
    found = problems({"SEND": "Send"}, [row], [proof] if proof is not None else [])
    assert found == [] if says is None else any(says in line for line in found), found


def test_an_id_is_there_once_and_every_field_is() -> None:
    row = '[A-B]\nsection = "1"\nlevel = "MUST"\nsubject = "server"\nbindings = []\nrule = "It holds."\n'
    assert read(f"[groups]\n{row}")[1] == [Requirement("A-B", "1", "MUST", "server", (), "It holds.")]
    with pytest.raises(tomllib.TOMLDecodeError):
        read(f"[groups]\n{row}{row}")
    for line in row.splitlines()[1:]:
        with pytest.raises(ValueError, match="A-B: a field is missing"):
            read("[groups]\n" + row.replace(f"{line}\n", ""))
    with pytest.raises(ValueError, match="colour"):
        read(f'[groups]\n{row}colour = "red"\n')
