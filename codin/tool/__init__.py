"""What an agent can use: functions and other tools, which there are for whom, and how they are used."""

from codin.tool._call import RunStream, RunTool, ToolCall
from codin.tool._decorator import tool
from codin.tool._executor import ToolExecutor
from codin.tool._function import FunctionTool
from codin.tool._limits import ToolLimits
from codin.tool._protocol import Approval, Sandboxing, StreamingTool, Tool, ToolSpec, check_sandboxing
from codin.tool._registry import ToolRegistry
from codin.tool._sandboxed import WorkloadTool, in_runtime
from codin.tool._workspace import workspace_tools

__all__ = [
    "Approval",
    "FunctionTool",
    "RunStream",
    "RunTool",
    "Sandboxing",
    "StreamingTool",
    "Tool",
    "ToolCall",
    "ToolExecutor",
    "ToolLimits",
    "ToolRegistry",
    "ToolSpec",
    "WorkloadTool",
    "check_sandboxing",
    "in_runtime",
    "tool",
    "workspace_tools",
]
