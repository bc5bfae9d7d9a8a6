"""Rules in a file; what they do is in tests/server/test_access.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from codin.errors import ConfigError
from codin.trust import Access, ApiKeys, Caller, Rule

RULES = """
[agents.translate]
scopes = ["read"]
hidden = true
skills.legal = ["law"]
tools."https://glossary.example.com" = "words"

[agents.shout]

[grants]
"router@k" = ["read", "law"]
"""


def test_a_file_says_what_a_program_says(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text(RULES)
    access = Access.from_file(tmp_path / "access.toml")
    assert access.rule("translate") == Rule(
        ["read"], {"legal": ["law"]}, {"https://glossary.example.com": ["words"]}, hidden=True
    )
    assert access.rule("shout") == Rule([])
    router = access.granted(Caller("router@k"))
    assert router.scopes == {"read", "law"}
    assert access.lacks(router, "translate") == frozenset()
    assert access.lacks(router, "other") is None
    assert access.lacks_for_skill(router, "translate", "legal") == frozenset()
    assert access.lacks_for_skill(router, "translate", "other") is None
    assert access.lacks_for_skill(router, "other", None) is None
    assert access.lacks_for_skill(router, "shout", "anything") == frozenset()
    assert access.lacks_for_tool(router, "translate", "https://glossary.example.com") == {"words"}
    assert access.lacks_for_tool(router, "translate", "https://other.example.com") is None
    assert access.lacks_for_tool(router, "shout", "anything") == frozenset()
    assert access.lacks_for_tool(router, "other", "anything") is None


@pytest.mark.parametrize(
    "text",
    [
        "agents = 7",
        "[agent.translate]",
        "[agents.translate]\nscope = []",
        "[agents.translate]\nhidden = 'yes'",
        "[agents.translate]\nscopes = 7",
        "[agents.translate]\nscopes = [7]",
        "[agents.translate]\nskills = ['legal']",
        "[agents.translate.skills]\nlegal = true",
        "[grants]\nada = { read = true }",
        "[agents",
    ],
)
def test_a_word_that_is_not_understood_is_never_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "access.toml").write_text(text)
    with pytest.raises(ConfigError, match="cannot be used"):
        Access.from_file(tmp_path / "access.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        Access.from_file(tmp_path / "nope")


@pytest.mark.anyio
async def test_scopes_stand_behind_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("ada k3y scopes=read,write\nbob other\n")
    file.chmod(0o600)
    keys = ApiKeys.from_file(file, "X-Key")
    ada, bob = [await keys.authenticate({b"x-key": key}) for key in (b"k3y", b"other")]
    assert (ada, bob) == (Caller("ada", scopes=frozenset({"read", "write"})), Caller("bob"))
    assert await keys.authenticate({b"x-key": b"wrong"}) is None
    assert await keys.authenticate({b"authorization": b"Bearer k3y"}) is None
    file.write_text("ada k3y scopes=read more\n")
    with pytest.raises(ConfigError, match="line 1 of the key file") as caught:
        ApiKeys.from_file(file)
    assert "k3y" not in str(caught.value)
