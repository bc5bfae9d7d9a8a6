"""An agent that asks back: the task becomes INPUT_REQUIRED, and the answer goes to the same task.

    python examples/ask.py

The question carries the JSON Schema of the answer, so that a program can answer as well as a person. An answer that
does not fit is asked for again.
"""

import asyncio

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.testing import serving


@agent
async def book(text: str, task: Task) -> str:
    """Book a table."""
    guests = await task.ask(f"For how many, {text}?", schema=int)
    if guests > 8:
        answer = await task.ask("That needs the big room. Is that all right?")
        if answer.text != "yes":
            return "Then nothing is booked."
    return f"A table for {guests} in the name of {text}."


async def main() -> None:
    answers = iter(["a few", "12", "yes"])
    async with serving(book) as url, codin.connect(url) as peer:
        reply = await peer.send("Ada")
        while reply.state is a2a.TaskState.INPUT_REQUIRED:
            answer = next(answers)
            print(f"{reply.text}  {reply.data or ''}\n> {answer}")
            reply = await peer.send(answer, task_id=reply.task_id, context_id=reply.context_id)
        print(reply.text)


if __name__ == "__main__":
    asyncio.run(main())
