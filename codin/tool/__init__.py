"""What an agent can use."""

from codin.tool._protocol import Tool, ToolSpec
from codin.tool._workspace import workspace_tools

__all__ = ["Tool", "ToolSpec", "workspace_tools"]
