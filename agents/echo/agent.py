"""Answers what it is sent: the smallest agent there is, and the one to try a connection with."""

from __future__ import annotations

from codin.agent import AgentResponse, Reject, Task, agent


@agent(name="echo", tags=["echo", "test", "ping"], examples=["hello"])
async def echo(task: Task) -> AgentResponse:
    """Say back what it is told: text, data and files, as they came."""
    if not task.message.parts:
        raise Reject("There is nothing to say back.")
    for part in task.message.parts:
        if part.text is not None:
            await task.write(part.text)
        else:
            await task.artifact([part], name=part.filename)
    return AgentResponse.completed()
