"""What an agent can use."""

from codin.tool._protocol import Tool, ToolSpec

__all__ = ["Tool", "ToolSpec"]
