"""Which reader a file is for."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

__all__ = ["Kind", "kind_of"]

Kind = Literal["markdown", "html", "pdf", "python", "code", "text"]

_ENDINGS: dict[Kind, str] = {
    "markdown": "md markdown mdown mkd",
    "html": "html htm xhtml",
    "pdf": "pdf",
    "python": "py pyi",
    "code": "bash c cc clj cpp cs css dart ex exs fs go graphql groovy h hpp hs java jl js jsx kt kts lua m ml mm "
    "php pl pm proto ps1 r rb rs sass scala scss sh sql svelte swift tf ts tsx vb vue zig zsh",
    "text": "adoc asciidoc cfg conf csv ini json jsonl log org properties rst text toml tsv txt xml yaml yml",
}
_KINDS: dict[str, Kind] = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}


def kind_of(name: str) -> Kind | None:
    """The kind of a file by its name; one without an ending, such as README, may be text. None for what is not read."""
    ending = PurePath(name).suffix.removeprefix(".").lower()
    return _KINDS.get(ending) if ending else "text"
