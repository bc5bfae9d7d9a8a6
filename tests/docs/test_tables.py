"""What the docs list is what the code has: limits, errors, entries, floors, public names."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from importlib import import_module
from typing import get_args

import pytest

import codin.errors
from codin import a2a
from codin.errors import CodinError
from codin.server import ServerLimits
from codin.task import LimitReached, Limits, ResumeMismatch
from codin.task._entry import PrivateKind
from docs.reference import PACKAGES, reference
from tests.docs.pages import ROOT, blocks_of, table_of
from tests.test_exports import MODULES


@pytest.mark.parametrize(("page", "limits"), [("tasks.md", Limits), ("serving.md", ServerLimits)])
def test_the_limits_and_their_defaults(page: str, limits: type[Limits] | type[ServerLimits]) -> None:
    written = {row[0].strip("`"): float(row[1]) for row in table_of(page, "| limit | default | reached |")}
    assert written == {field.name: field.default for field in fields(limits) if field.default is not MISSING}


def test_the_protocol_errors() -> None:
    written = table_of("errors.md", "| error | JSON-RPC | HTTP | gRPC | reason | code |")
    assert written == [
        [f"`{row.error.__name__}`", str(row.rpc_code), str(row.http_status), row.grpc_status, row.reason, row.code]
        for row in a2a.error_table()
    ]


def test_the_other_errors() -> None:
    written = {row[0].strip("`"): row[1] for row in table_of("errors.md", "| error | code | when |")}
    here: list[type[CodinError]] = [getattr(codin.errors, name) for name in codin.errors.__all__]
    assert written == {cls.__name__: cls.code for cls in [*here, LimitReached, ResumeMismatch, a2a.A2AError]}


def test_the_narrower_reasons() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "codin").rglob("*.py")]
    raised = {reason for source in sources for reason in re.findall(r'reason="([A-Z_]+)"', source)}
    assert {row[0].strip("`") for row in table_of("errors.md", "| reason | error | when |")} == raised


def test_the_kinds_of_entries() -> None:
    kinds = {row[0].strip("`"): row[1] for row in table_of("tasks.md", "| kind | public | what it is |")}
    assert {kind for kind, public in kinds.items() if public == "yes"} == {"status", "artifact"}
    assert {kind for kind, public in kinds.items() if public == "no"} == {"input", *get_args(PrivateKind)}


def test_the_floors() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each["id"] == "floors")
    built = [name for layer in layers for name in re.findall(r"(?<![\w(])(\w+)(?!\))", layer)]
    page = ROOT / "docs" / "architecture.md"
    drawn = next(block for block in blocks_of(page) if block.text.startswith("cli "))
    assert re.findall(r"^(\w+)", drawn.text, re.MULTILINE) == built


def test_the_reference_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == reference(), "it is out of date; run: .venv/bin/python docs/reference.py"


def test_the_reference_has_every_public_name() -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    by_module = {section.partition("\n")[0]: section for section in sections}
    for name in MODULES:
        public: list[str] = getattr(import_module(name), "__all__", [])
        assert not public or name in PACKAGES, f"docs/reference.py leaves out {name}"
        for each in public:
            assert re.search(rf"`{each}[`(.]", by_module[name]), f"{name}.{each}"
