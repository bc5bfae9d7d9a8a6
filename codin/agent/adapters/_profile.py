"""What an adapter tells about its agent, and the options that every adapter takes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from codin import a2a
from codin.task import Task
from codin.tool import Tool

__all__ = ["AdapterOptions", "Profile", "slug", "thread_id"]


class AdapterOptions(TypedDict, total=False):
    """What every adapter takes beside the framework's object.

    Args:
        name: of the agent; the object's own by default.
        description: for the card; the object's own by default. Instructions to the model are never published.
        version: of the agent, for the card.
        examples: prompts shown with the skill.
        tags: of the skill.
        extensions: of the protocol that the agent speaks: URIs, or `a2a.AgentExtension`.
        tool_activity: send tool calls and their results as status updates.
        expose_tools: make each tool a skill on the public card.
        closing_update: end a streamed text with an update that repeats it; on by default.
        closing_message: say the answer in the completed status too, for clients that read only messages.
    """

    name: str
    description: str
    version: str
    examples: Sequence[str]
    tags: Sequence[str]
    extensions: Sequence[a2a.AgentExtension | str]
    tool_activity: bool
    expose_tools: bool
    closing_update: bool
    closing_message: bool


class Profile:
    """An agent's public side, worked out once. An adapter's class inherits it and adds `handle`.

    Args:
        name, description: what the framework's object says of itself; the options go before.
        framework: the tag of the skill when no tags are given.
        skills: those of the object; by default there is one, for the agent as a whole.
        tools: become skills only with `expose_tools`.
    """

    def __init__(
        self,
        options: AdapterOptions,
        *,
        name: str,
        description: str,
        framework: str,
        skills: Sequence[a2a.AgentSkill] = (),
        tools: Sequence[Tool] = (),
        input_modes: Sequence[str] = ("text/plain", "application/json"),
        output_modes: Sequence[str] = ("text/plain",),
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.name: str = options.get("name") or name
        self.id: str = slug(self.name) or slug(framework)
        self.description: str = options.get("description") or description
        self.version: str = options.get("version", "1.0.0")
        self.extensions: Sequence[a2a.AgentExtension | str] = options.get("extensions", ())
        self.closing_update: bool = options.get("closing_update", True)
        self.closing_message: bool = options.get("closing_message", False)
        self.tools: Sequence[Tool] = tuple(tools)
        self.input_modes: Sequence[str] = tuple(input_modes)
        self.output_modes: Sequence[str] = tuple(output_modes)
        self.input_schema: Mapping[str, Any] | None = input_schema
        self.output_schema: Mapping[str, Any] | None = output_schema
        tags, examples = list(options.get("tags", [framework])), list(options.get("examples", []))
        whole = a2a.AgentSkill(id=self.id, name=self.name, description=self.description, tags=tags, examples=examples)
        shown = self.tools if options.get("expose_tools") else ()
        self.skills: Sequence[a2a.AgentSkill] = [*(skills or [whole]), *map(_tool_skill, shown)]


def _tool_skill(tool: Tool) -> a2a.AgentSkill:
    return a2a.AgentSkill(id=tool.name, name=tool.name, description=tool.spec.description, tags=["tool"])


def slug(name: str) -> str:
    """A name as an agent's id: "News Room" becomes "news-room"; "" when nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def thread_id(agent: str, task: Task, *more: str) -> str:
    """The framework's thread or session of a task's context.

    A hash of whose it is, so that no context id a caller makes up names another's.
    """
    owner = [agent, task.tenant, task.caller.tenant, task.caller.id, task.context_id, *more]
    return hashlib.sha256(json.dumps(owner).encode()).hexdigest()[:40]
