"""Adapters: one module per framework, imported when an object of that framework is served; and what they are made of.

An adapter is a function `adapt(obj, **options) -> Agent` behind an entry point of the group `codin.adapters` that is
named after the framework's top-level package. Beside it, `parts(obj)` may tell what is in an object, or None for what
is a part itself, and `tool_of(native)` make a tool of codin of one of the framework. docs/adapters.md has a template.
"""

from codin.agent.adapters._activity import ACTIVITY_KEY, ToolActivity
from codin.agent.adapters._agent_tool import AgentTool, agent_tool
from codin.agent.adapters._history import History, MemoryHistory
from codin.agent.adapters._native_tools import tool_of
from codin.agent.adapters._profile import AdapterOptions, Profile, slug, thread_id
from codin.agent.adapters._questions import Question, Unclear, answers, approval, ask, json_value, readable
from codin.agent.adapters._remote import Remote, result_of
from codin.agent.adapters._shared_tools import SharedTool, ToolsAgent, share_tools, shared_tools

__all__ = [
    "ACTIVITY_KEY",
    "AdapterOptions",
    "AgentTool",
    "History",
    "MemoryHistory",
    "Profile",
    "Question",
    "Remote",
    "SharedTool",
    "ToolActivity",
    "ToolsAgent",
    "Unclear",
    "agent_tool",
    "answers",
    "approval",
    "ask",
    "json_value",
    "readable",
    "result_of",
    "share_tools",
    "shared_tools",
    "slug",
    "thread_id",
    "tool_of",
]
