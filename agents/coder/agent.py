"""Writes a Python program for a task, runs it in a sandbox, and mends it until it runs.

With OPENAI_API_KEY or OPENAI_BASE_URL a model writes it; OPENAI_MODEL says which. Without a model it runs the program
that the message brings along, in a block of ```python.
"""

from __future__ import annotations

import base64
import mimetypes
import os
import re
from collections.abc import Mapping
from typing import Any

from codin import a2a
from codin.agent import AgentResponse, Reject, Task, agent
from codin.tool.ready import Python

ROUNDS = 3  # programs for one task
LONGEST = 50_000  # characters of a task
_SAID = 4_000  # characters of what a program wrote, which the model reads
_BLOCK = re.compile(r"```(?:python|py)[ \t]*\n(.*?)\n?```", re.DOTALL)
_ASKED = (
    "Write one Python program for the task. It has the standard library only, and no network. What it prints is the "
    "answer; figures and other results it writes as files into the working folder, figures as SVG. Answer with nothing "
    "but the program, in a block of ```python."
)


@agent(
    name="coder",
    tags=["python", "code", "compute", "figure"],
    examples=["Draw the first ten squares as bars."],
    output_modes=["text/plain", "image/svg+xml", "application/octet-stream"],
    tools=[Python()],
)
async def code(text: str, task: Task) -> AgentResponse:
    """Solve a task by a program, which runs in a sandbox: the answer is what it prints, and the files it writes."""
    if len(text) > LONGEST:
        raise Reject(f"The task has {len(text):,} characters; {LONGEST:,} are the most.")
    has_model = bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))
    talk = [{"role": "system", "content": _ASKED}, {"role": "user", "content": text}]
    done: Mapping[str, Any] = {}
    number = 0
    for number in range(1, ROUNDS + 1 if has_model else 2):
        written = await _written(talk) if has_model else text
        program = _BLOCK.search(written)
        if program is None:
            raise Reject("There is no program." if has_model else "There is no model here, and no block of ```python.")
        await task.status(f"running program {number}")
        done = await task.tool("python", code=program[1])
        if done["ok"]:
            return AgentResponse.completed(done["stdout"], artifacts=_artifacts(done, program[1]))
        why = done["stderr"][-_SAID:] or f"it ended with exit code {done['exit_code']}"
        talk += [{"role": "assistant", "content": written}, {"role": "user", "content": f"It fails. Mend it:\n{why}"}]
    last = done["stderr"].strip().rpartition("\n")[2] or f"exit code {done['exit_code']}"
    raise Reject(f"The program fails, after {number} of them: {last}")


def _artifacts(done: Mapping[str, Any], program: str) -> list[a2a.Artifact]:
    """The files that the program wrote, and the program."""
    found = [a2a.Artifact(artifact_id=file["path"], name=file["path"], parts=[_part(file)]) for file in done["files"]]
    source = a2a.Part(text=program, filename="program.py", media_type="text/x-python")
    return [*found, a2a.Artifact(artifact_id="program", name="the program", parts=[source])]


def _part(file: Mapping[str, str]) -> a2a.Part:
    path = file["path"]
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    body = file["text"].encode() if "text" in file else base64.b64decode(file["base64"])
    return a2a.Part(raw=body, filename=path, media_type=kind)


async def _written(talk: list[Any]) -> str:
    """What a model answers."""
    try:
        from openai import AsyncOpenAI  # only who has a model needs it
    except ImportError:
        raise Reject("OPENAI_* is set, but the openai package is not installed here: pip install openai") from None
    async with AsyncOpenAI() as client:
        answer = await client.chat.completions.create(
            model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), messages=talk
        )
    return answer.choices[0].message.content or ""
