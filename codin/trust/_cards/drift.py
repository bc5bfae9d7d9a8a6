"""What is different between the card that was approved and the card at hand, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from codin import a2a

__all__ = ["card_changes", "shown"]

_Members: TypeAlias = Mapping[str, Any]

# What an agent may change without becoming another one.
_FREE = frozenset({"version", "iconUrl", "documentationUrl", "signatures"})
# Members of these lists are known by a name of their own; the rest is compared by place.
_NAMED = {
    "skills": ("skill", "id"),
    "supportedInterfaces": ("address", "url"),
    "extensions": ("extension", "uri"),
}
_LABELS = {
    "capabilities": "",
    "securitySchemes": "security scheme",
    "securityRequirements": "who may call",
    "defaultInputModes": "reads",
    "defaultOutputModes": "answers with",
}
_LONGEST = 120
_MOST = 100


def card_changes(approved: Mapping[str, Any], card: a2a.AgentCard) -> list[str]:
    """The differences that somebody who approved the one has not approved of the other.

    The lines quote the peer, and hold no control character of it.

    Args:
        approved: a card as `to_dict` gives it.
    """
    # Read and written again, so that both have their defaults left out alike.
    old = _compared(a2a.AgentCard.from_dict(approved))
    new = _compared(card)
    lines = [line for line, _ in zip(_members("", old, new), range(_MOST + 1), strict=False)]
    return [*lines[:_MOST], "and more"] if len(lines) > _MOST else lines


def _compared(card: a2a.AgentCard) -> dict[str, Any]:
    fields = {name: value for name, value in card.to_dict().items() if name not in _FREE}
    for extension in fields.get("capabilities", {}).get("extensions", []):
        if extension.get("uri") == a2a.CALL_EXTENSION:
            extension.pop("params", None)  # an agent without a key has another identity after every start
    return fields


def _members(label: str, old: _Members, new: _Members) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        words = " ".join(filter(None, [label, _LABELS.get(name, shown(name))]))
        before, after = old.get(name), new.get(name)
        olds, news = (_objects(before), _objects(after)) if name in _NAMED else (None, None)
        if olds is not None and news is not None:
            yield from _listed(label, *_NAMED[name], olds, news)
        elif before != after and isinstance(before, dict | None) and isinstance(after, dict | None):
            yield from _members(words, cast("_Members", before or {}), cast("_Members", after or {}))
        elif before != after:
            yield f"{words}: {_value(before)} -> {_value(after)}"


def _objects(value: Any) -> list[_Members] | None:
    """The value as a list of objects; None when it is something else."""
    if value is None:
        return []
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    return items if all(isinstance(item, dict) for item in items) else None


def _listed(label: str, kind: str, key: str, before: list[_Members], after: list[_Members]) -> Iterator[str]:
    old, new = _by_name(before, key), _by_name(after, key)
    kind = f"{label} {kind}".strip()
    for name in old:
        if name not in new:
            yield f"{kind} removed: {shown(name)}"
    for name in new:
        if name not in old:
            yield f"{kind} added: {shown(name)}{_told(new[name])}"
    same = [name for name in new if name in old]
    for name in same:
        yield from _members(f"{kind} {shown(name)}", old[name], new[name])
    if key == "url" and same != [name for name in old if name in new]:
        yield f"{kind}: in another order; the first that fits is called"


def _by_name(members: list[_Members], key: str) -> dict[str, _Members]:
    """The members by their names; of two with one name the second has a number too, as a person would tell them."""
    found: dict[str, _Members] = {}
    for member in members:
        name, number = str(member.get(key, "")), 2
        while name in found:
            name, number = f"{member.get(key, '')} ({number})", number + 1
        found[name] = member
    return found


def _told(member: _Members) -> str:
    words = member.get("description") or member.get("protocolBinding")
    return f" ({shown(str(words))})" if words else ""


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    return shown(value) if isinstance(value, str) else shown(str(value))


def shown(text: str) -> str:
    """A peer's text on one line of ours: cut, and without characters that a terminal or a reader would obey."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
