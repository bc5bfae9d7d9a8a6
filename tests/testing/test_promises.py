"""The table of docs/adapters.md is what the adapters' tests declare, and prove."""

from __future__ import annotations

import pytest

from docs.adapters import PAGE, ROOT, page

FOLDERS = sorted({path.parent for path in (ROOT / "tests" / "agent" / "adapters").glob("*/promises.py")})


def test_the_table_is_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "it is out of date; run: .venv/bin/python docs/adapters.py"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_declared_is_proved(folder: object) -> None:
    test = (ROOT / str(folder) / "test_laws.py").read_text(encoding="utf-8")
    assert ".promises import CANNOT, NAME" in test
    assert "cannot=CANNOT" in test
    assert "laws(CASE)" in test
