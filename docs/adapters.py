"""Writes the table of docs/adapters.md from what the adapters' tests declare and prove: `python docs/adapters.py`.

Each folder of tests/agent/adapters with a `promises.py` is a column; `test_laws.py` beside it proves what is not in its
CANNOT. A test compares the page with what this gives.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from codin.testing.adapter_laws import promise_table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "adapters.md"
_BEGIN, _END = "<!-- promises: written by docs/adapters.py -->", "<!-- end of promises -->"


def page() -> str:
    """The page, with the table of today."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    return "\n".join([before + _BEGIN, "", *promise_table(declared()), "", _END + rest.partition(_END)[2]])


def declared() -> dict[str, dict[str, str]]:
    """What each framework cannot keep, by the framework's name."""
    found = [runpy.run_path(str(path)) for path in ROOT.glob("tests/agent/adapters/*/promises.py")]
    return {each["NAME"]: each["CANNOT"] for each in sorted(found, key=lambda each: each["NAME"].lower())}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
