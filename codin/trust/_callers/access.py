"""What a caller may do: scopes for each agent, skill and tool. What is not allowed is forbidden."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from codin import a2a
from codin.errors import ConfigError
from codin.trust._callers.caller import Caller

__all__ = ["SKILL_KEY", "Access", "Rule", "Scopes"]

_AGENT = "agent:"

SKILL_KEY = "urn:codin:a2a:skill:v1"
"""In the metadata of a message: the id of the skill that it wants."""

Scopes: TypeAlias = str | Iterable[str]
"""Scopes that are needed together: one, or several."""


@dataclass(frozen=True)
class Rule:
    """Who may use one agent.

    Args:
        scopes: that a caller needs; without any, every authenticated caller may.
        skills: the scopes for each skill, by its id, beside those of the agent. Once it is given, a skill that is not
            in it is nobody's, and a message says which skill it wants: `metadata={SKILL_KEY: id}`.
        tools: the scopes for each tool or agent that is called for the caller (`task.call`), by the name or URL it is
            called by. Once it is given, what is not in it is not called.
        hidden: to callers without the scopes there is no such agent, in no answer.
    """

    scopes: Scopes = ()
    skills: Mapping[str, Scopes] | None = None
    tools: Mapping[str, Scopes] | None = None
    hidden: bool = False


class Access:
    """Rules by the agents' ids. An agent without a rule is not there for anybody.

    Args:
        rules: a `Rule`, or just its scopes, by the id of the agent.
        grants: scopes that callers have beside those of their credentials, by the caller's id; an agent that shows one
            of our own keys has those of `agent:` with its own id as well, whichever of the keys it is.
    """

    def __init__(self, rules: Mapping[str, Rule | Scopes], *, grants: Mapping[str, Scopes] | None = None) -> None:
        self._rules = {
            agent: rule if isinstance(rule, Rule) else Rule(scopes=tuple(_set(rule))) for agent, rule in rules.items()
        }
        self._grants = {caller: _set(scopes) for caller, scopes in (grants or {}).items()}

    @classmethod
    def from_file(cls, path: str | Path) -> Access:
        """Read the rules of a TOML file.

            [agents.translate]
            scopes = ["read"]
            skills.legal = ["law"]

            [grants]
            "ada" = ["read", "law"]

        Raises:
            ConfigError: it cannot be read, or something in it is not understood; a word that is misspelt as well.
        """
        try:
            return _read(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(f"the access file {str(path)!r} cannot be used: {error}") from None

    def rule(self, agent: str) -> Rule | None:
        """The rule for an agent."""
        return self._rules.get(agent)

    def granted(self, caller: Caller) -> Caller:
        """The caller with all its scopes."""
        # Nobody gets what is an agent's by calling themselves so.
        more = frozenset[str]() if caller.id.startswith(_AGENT) else self._grants.get(caller.id, frozenset())
        if caller.agent:
            more |= self._grants.get(self.grantee(caller), frozenset())
        return replace(caller, scopes=caller.scopes | more) if more else caller

    @staticmethod
    def grantee(caller: Caller) -> str:
        """The name by which a caller is granted scopes: `agent:ID` for one with our own keys."""
        return f"{_AGENT}{caller.agent}" if caller.agent else caller.id

    def lacks(self, caller: Caller, agent: str) -> frozenset[str] | None:
        """The scopes of the agent that the caller has not; none is a yes, and None says that nobody may."""
        rule = self._rules.get(agent)
        return None if rule is None else _set(rule.scopes) - caller.scopes

    def lacks_for_skill(self, caller: Caller, agent: str, skill: str | None) -> frozenset[str] | None:
        """The same for a skill of the agent. Who names none may get any, and needs the scopes of all."""
        rule = self._rules.get(agent)
        if rule is None or rule.skills is None:
            return frozenset() if rule is not None else None
        if skill is None:
            return frozenset[str]().union(*(_set(scopes) for scopes in rule.skills.values())) - caller.scopes
        return None if skill not in rule.skills else _set(rule.skills[skill]) - caller.scopes

    def lacks_for_tool(self, caller: Caller, agent: str, tool: str) -> frozenset[str] | None:
        """The same for a tool that the agent calls."""
        rule = self._rules.get(agent)
        if rule is None or rule.tools is None:
            return frozenset() if rule is not None else None
        return None if tool not in rule.tools else _set(rule.tools[tool]) - caller.scopes

    def check_agents(self, agents: Iterable[str]) -> None:
        """See whether the rules are for agents that exist.

        Raises:
            ConfigError: one is not.
        """
        if unknown := sorted(self._rules.keys() - set(agents)):
            raise ConfigError(
                f"there are access rules for {', '.join(unknown)}, which is not served",
                hint="rules are by the agents' ids",
            )

    def requirements(self, agent: str, ways: Iterable[a2a.SecurityRequirement]) -> list[a2a.SecurityRequirement]:
        """The alternatives of an authenticator with the scopes of the agent, for its card."""
        rule = self._rules.get(agent)
        return _with_scopes(ways, _set(rule.scopes) if rule is not None else frozenset())

    def skill_requirements(
        self, agent: str, skill: str, ways: Iterable[a2a.SecurityRequirement]
    ) -> list[a2a.SecurityRequirement]:
        """The same for a skill; nothing where it needs nothing of its own."""
        rule = self._rules.get(agent)
        if rule is None or not rule.skills or skill not in rule.skills:
            return []
        return _with_scopes(ways, _set(rule.scopes) | _set(rule.skills[skill]))


def _with_scopes(ways: Iterable[a2a.SecurityRequirement], scopes: frozenset[str]) -> list[a2a.SecurityRequirement]:
    return [
        a2a.SecurityRequirement(
            schemes={name: a2a.StringList(list=sorted({*had.list, *scopes})) for name, had in way.schemes.items()}
        )
        for way in ways
    ]


def _read(document: dict[str, Any]) -> Access:
    agents, grants = _table(document.pop("agents", {}), "agents"), _table(document.pop("grants", {}), "grants")
    if document:
        raise ValueError(f"{', '.join(document)} is neither agents nor grants")
    rules = {agent: _rule(_table(said, agent), agent) for agent, said in agents.items()}
    return Access(rules, grants=_scopes(grants, "grants"))


def _rule(said: dict[str, Any], agent: str) -> Rule:
    scopes, hidden = said.pop("scopes", []), said.pop("hidden", False)
    more = {name: _scopes(_table(said.pop(name), name), name) for name in ("skills", "tools") if name in said}
    if said or not isinstance(hidden, bool):
        raise ValueError(f"{agent}: {', '.join(said) or 'hidden'} is not understood")
    return Rule(_words(scopes, agent), more.get("skills"), more.get("tools"), hidden)


def _scopes(table: dict[str, Any], name: str) -> dict[str, list[str]]:
    return {key: _words(words, f"{name}.{key}") for key, words in table.items()}


def _words(said: Any, name: str) -> list[str]:
    words = [said] if isinstance(said, str) else said
    if not isinstance(words, list) or not all(isinstance(word, str) for word in cast("list[Any]", words)):
        raise ValueError(f"the scopes of {name} are no list of words")
    return cast("list[str]", words)


def _table(said: Any, name: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"{name} is no table")
    return cast("dict[str, Any]", said)


def _set(scopes: Scopes) -> frozenset[str]:
    return frozenset(scopes.split()) if isinstance(scopes, str) else frozenset(scopes)
