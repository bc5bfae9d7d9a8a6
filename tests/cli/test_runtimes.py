"""`codin runtimes`: what is here, and what to install for the rest."""

from __future__ import annotations

import json
import sys

import pytest

from codin.cli import main


def test_what_is_not_installed_is_told_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("kubernetes_asyncio", "ray", "cloudpickle"):
        monkeypatch.setitem(sys.modules, package, None)
    assert main(["runtimes", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["runtimes"]}
    for name, package in (("kubernetes", "kubernetes_asyncio"), ("ray", "ray")):
        assert rows[name]["here"] is False
        assert package in rows[name]["why"]
        assert f"pip install 'codin[{name}]'" in rows[name]["why"]
    assert rows["local"]["runs"] == ["command", "endpoint", "module"]
    assert rows["local"]["lacks"] == {"function": "pip install 'codin[runtime]'"}
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["runtimes"]) == 0
    assert "command, endpoint, module; function: pip install 'codin[runtime]'" in capsys.readouterr().out
