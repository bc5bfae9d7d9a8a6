"""An agent is a name, a description and one coroutine, `handle(task)`. A function is one by `@agent`."""

from codin.agent._adapt import as_agent
from codin.agent._decorator import agent
from codin.agent._function import FunctionAgent
from codin.agent._protocol import Agent, Describes
from codin.task import AgentResponse, NeedAuth, NeedInput, Reject, Task
from codin.tool._hints import Media

__all__ = [
    "Agent",
    "AgentResponse",
    "Describes",
    "FunctionAgent",
    "Media",
    "NeedAuth",
    "NeedInput",
    "Reject",
    "Task",
    "agent",
    "as_agent",
]
