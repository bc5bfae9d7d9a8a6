"""Writes docs/conformance.md from specs/requirements.toml and the marks of the tests: `python -m docs.conformance`.

A test says which rows it proves with `@pytest.mark.requirement("SEND-BLOCKING")`. Nothing is imported to find that out.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "conformance.md"
TABLE = ROOT / "specs" / "requirements.toml"
BINDINGS = ("JSONRPC", "HTTP+JSON", "GRPC")
LEVELS = ("MUST", "SHOULD", "MAY")
SUBJECTS = ("server", "client", "card", "signer", "push", "receiver")

_HEAD = """\
# Conformance

```console
.venv/bin/python -m pytest tests/spec
```

What A2A v1.0.1 asks for, in our own words, and the tests that prove it: a rule here without a test, or a test that
names no rule, fails the suite. Where the specification disagrees with itself or leaves something open, the rule says
what codin does. The rules are [rows of a file](../specs/requirements.toml), the proofs are marks on tests; this page
is written from both by `python -m docs.conformance`. A test that is named in *italics* runs over every binding; the
others are about the protocol's objects, about one side of the wire, or run over JSON-RPC.
"""


@dataclass(frozen=True)
class Requirement:
    """One row.

    Attributes:
        id: its name; what comes before the first dash is its group.
        why: it has no proof yet; empty where it has.
    """

    id: str
    section: str
    level: str
    subject: str
    bindings: tuple[str, ...]
    rule: str
    decision: str = ""
    status: str = ""
    why: str = ""

    @property
    def group(self) -> str:
        return self.id.partition("-")[0]


@dataclass(frozen=True)
class Proof:
    """A test that names rows.

    Attributes:
        path: of its file, below the repository.
        wire: it runs over every binding.
    """

    path: str
    name: str
    ids: tuple[str, ...]
    wire: bool = False


def read(text: str) -> tuple[Mapping[str, str], list[Requirement]]:
    """The groups with their titles, and the rows.

    Raises:
        ValueError: an id is there twice, or a field is missing or unknown.
    """
    document = tomllib.loads(text)
    groups: dict[str, str] = document.pop("groups")
    return groups, [_row(name, fields) for name, fields in document.items()]


def _row(name: str, fields: dict[str, Any]) -> Requirement:
    try:
        bindings = tuple(fields.pop("bindings"))
        return Requirement(name, bindings=bindings, **fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name}: a field is missing or unknown: {error}") from None


def proofs(root: Path = ROOT / "tests") -> list[Proof]:
    """The tests that are marked, in the order of their files."""
    return [proof for path in sorted(root.rglob("test_*.py")) for proof in _proofs_in(path)]


def _proofs_in(path: Path) -> Iterator[Proof]:
    text = path.read_text(encoding="utf-8")
    if "mark.requirement" not in text:
        return
    for node in ast.parse(text, str(path)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (ids := _marked(node.decorator_list)):
            wire = any(argument.arg in {"wire", "wires"} for argument in node.args.args) and not _json_only(
                node.decorator_list
            )
            yield Proof(path.relative_to(ROOT).as_posix(), node.name, ids, wire)


def _marked(decorators: Sequence[ast.expr]) -> tuple[str, ...]:
    calls = [each for each in decorators if isinstance(each, ast.Call) and ast.unparse(each.func) == _MARK]
    return tuple(ast.literal_eval(argument) for call in calls for argument in call.args)


_MARK = "pytest.mark.requirement"


def _json_only(decorators: Sequence[ast.expr]) -> bool:
    return any(ast.unparse(each) == "json_only" for each in decorators)


def problems(groups: Mapping[str, str], rows: Sequence[Requirement], tests: Sequence[Proof]) -> list[str]:
    """What is wrong with the table and the marks, a line for each."""
    known = {row.id: row for row in rows}
    proved = {name for test in tests for name in test.ids}
    found = [f"{row.id}: {word}" for row in rows for word in _wrong(row, groups)]
    found += [f"{row.id} has no test" for row in rows if not row.status and row.id not in proved]
    found += [f"{row.id} has a test: it is not open any more" for row in rows if row.status and row.id in proved]
    found += [f"{test.path}::{test.name} names {name}, which is no row" for test in tests for name in test.ids
              if name not in known]  # fmt: skip
    return found + [f"the group {group} has no row" for group in groups if group not in {row.group for row in rows}]


def _wrong(row: Requirement, groups: Mapping[str, str]) -> Iterator[str]:
    if row.group not in groups:
        yield "its group has no title"
    if row.level not in LEVELS:
        yield f"no level {row.level!r}"
    if row.subject not in SUBJECTS:
        yield f"no subject {row.subject!r}"
    if not set(row.bindings) <= set(BINDINGS):
        yield f"no bindings {row.bindings!r}"
    if not row.section or not row.rule.endswith("."):
        yield "it needs a section and a sentence"
    if row.status not in {"", "open"} or bool(row.status) is not bool(row.why):
        yield 'status is "open", with why, or there is neither'


def page() -> str:
    """The page."""
    groups, rows = read(TABLE.read_text(encoding="utf-8"))
    tests: defaultdict[str, list[Proof]] = defaultdict(list)
    for test in proofs():
        for name in test.ids:
            tests[name].append(test)
    lines = [_HEAD, *_summary(rows, tests)]
    for group, title in groups.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| rule | level | who | section | bindings | proof |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_line(row, tests[row.id]) for row in rows if row.group == group]
    return "\n".join([*lines, ""])


def _summary(rows: Sequence[Requirement], tests: Mapping[str, Sequence[Proof]]) -> Iterator[str]:
    yield "| level | rules | proved | over every binding | open |"
    yield "|---|---|---|---|---|"
    counts: dict[str, Counter[str]] = {level: Counter() for level in LEVELS}
    for row in rows:
        counts[row.level]["rules"] += 1
        counts[row.level]["open" if row.status else "proved"] += 1
        counts[row.level]["wire"] += any(test.wire for test in tests.get(row.id, ()))
    everything = sum(counts.values(), Counter[str]())
    for level, count in [*counts.items(), ("all", everything)]:
        yield f"| {level} | {count['rules']} | {count['proved']} | {count['wire']} | {count['open']} |"
    yield "\nA MAY is here when codin promises it."
    decided, waiting = [row for row in rows if row.decision], [row for row in rows if row.status]
    yield f"\n**Decisions**, each with its reason below: {', '.join(f'`{row.id}`' for row in decided)}."
    if waiting:
        yield "\n**Open**:\n"
        for why in dict.fromkeys(row.why for row in waiting):
            yield f"- {why} {', '.join(f'`{row.id}`' for row in waiting if row.why == why)}"


def _line(row: Requirement, tests: Sequence[Proof]) -> str:
    rule = f"`{row.id}` {row.rule}" + (f" **Decision:** {row.decision}" if row.decision else "")
    bindings = "every" if row.bindings == BINDINGS else ", ".join(row.bindings) or "–"
    proof = f"open: {row.why}" if row.status else ", ".join(map(_link, tests))
    return f"| {rule} | {row.level} | {row.subject} | {row.section} | {bindings} | {proof} |"


def _link(test: Proof) -> str:
    link = f"[{test.name.removeprefix('test_').replace('_', ' ')}](../{test.path})"
    return f"*{link}*" if test.wire else link


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
