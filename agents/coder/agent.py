"""Writes a Python program for a task, runs it in a sandbox, and mends it until it runs.

With OPENAI_API_KEY or OPENAI_BASE_URL a model writes it; OPENAI_MODEL says which. Without a model, or with one that
writes none, it is the program that the message brings along in a block of ```python, or one of `without_model`.
CODER_SECONDS is the time that a program has.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import mimetypes
import os
import re
from collections.abc import Mapping
from typing import Any

from without_model import program_for

from codin import a2a
from codin.agent import AgentResponse, Reject, Task, agent
from codin.errors import InvalidArguments, InvalidResult, ToolError, ToolFailed, ToolTimeout
from codin.tool.ready import Python

ROUNDS = 3  # programs for one task
LONGEST = 50_000  # characters of a task
_SAID = 4_000  # characters of what a program wrote, which the model reads
_BLOCK = re.compile(r"```[ \t]*(?:python3?|py)[ \t\r]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_ENDED = {
    "files": "it made more files than it may",
    "memory": "it took more memory than it may",
    "output": "it wrote more than anybody reads",
}
_ASKED = (
    "Write one Python program for the task. It has the standard library only, and no network. What it prints is the "
    "answer; figures and other results it writes as files into the working folder, figures as SVG. Answer with nothing "
    "but the program, in a block of ```python."
)
_NO_MODEL = (
    "There is no model here that could write a program for this. What is done without one: a program in a block of "
    '```python; arithmetic ("What is 17 * 23?"); count, sum, mean, median, minimum, maximum or bars of numbers ("Draw '
    '1, 4, 9 as bars.") or of a table in CSV, whose first column has the names.'
)

_logger = logging.getLogger("codin.agents.coder")


class _Silent(Exception):
    """The model did not answer."""


@agent(
    name="coder",
    tags=["python", "code", "compute", "figure"],
    examples=["Draw 1, 4, 9, 16, 25 as bars.", "What is 17 * 23?"],
    output_modes=["text/plain", "image/svg+xml", "application/octet-stream"],
    tools=[Python(timeout=float(os.environ.get("CODER_SECONDS", "30")))],
)
async def code(text: str, task: Task) -> AgentResponse:
    """Solve a task by a program, which runs in a sandbox: the answer is what it prints, and the files it writes."""
    if len(text) > LONGEST:
        raise Reject(f"The task has {len(text):,} characters; {LONGEST:,} are the most.")
    own = _block(text) or await asyncio.to_thread(program_for, text)
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        return await _with_model(text, own, task)
    if own is None:
        raise Reject(_NO_MODEL)
    await task.status("running the program")
    done, why = await _run(own, task)
    if done is None:
        raise Reject(f"The program fails: {_last_line(why)}")
    return _answer(done, own)


async def _with_model(text: str, own: str | None, task: Task) -> AgentResponse:
    talk = [{"role": "system", "content": _ASKED}, {"role": "user", "content": text}]
    failed: list[str] = []  # why, of each program that ran
    for _ in range(ROUNDS):
        try:
            written = await _written(talk)
        except _Silent as error:
            return AgentResponse.failed(f"The model cannot be asked: {error}.")
        program = _block(written)
        if program is None:  # a model that only quotes, say
            program, own = own, None
        if program is None:
            why = "there is no program in a block of ```python"
        else:
            await task.status(f"running program {len(failed) + 1}")
            done, why = await _run(program, task)
            if done is not None:
                return _answer(done, program)
            failed.append(why)
            written = f"```python\n{program}\n```"
        talk += [{"role": "assistant", "content": written}, {"role": "user", "content": f"It fails. Mend it:\n{why}"}]
    if not failed:
        raise Reject(f"The model wrote no program in a block of ```python, in {ROUNDS} answers.")
    number = f", after {len(failed)} of them" if len(failed) > 1 else ""
    raise Reject(f"The program fails{number}: {_last_line(failed[-1])}")


async def _run(program: str, task: Task) -> tuple[Mapping[str, Any] | None, str]:
    """What came of it, or why nothing did."""
    try:
        done = await task.tool("python", code=program)
    except (InvalidArguments, InvalidResult, ToolFailed, ToolTimeout) as error:
        return None, error.message.replace("'python'", "it")
    except ToolError as error:  # no other program would do better
        raise Reject(f"The program was not run: {error}") from error
    if done["ok"]:
        return done, ""
    why = done["stderr"][-_SAID:].strip()
    if done["ended"] != "exited" or not why:
        why += "\n" + _ENDED.get(done["ended"], f"it ended with exit code {done['exit_code']}")
    return None, why.strip()


def _answer(done: Mapping[str, Any], program: str) -> AgentResponse:
    """What the program printed, the files that it wrote, and the program."""
    told = done["stdout"] or "The program printed nothing."
    if done["left_out"]:
        told = f"{told.rstrip()}\n\nToo large or too many to be given here: {', '.join(done['left_out'])}."
    # A file may be called as it likes, and have the name of no other artifact.
    files = [
        a2a.Artifact(artifact_id=f"files/{file['path']}", name=file["path"], parts=[_part(file)])
        for file in done["files"]
    ]
    source = a2a.Part(raw=program.encode(), filename="program.py", media_type="text/x-python")
    return AgentResponse.completed(
        told, artifacts=[*files, a2a.Artifact(artifact_id="program", name="the program", parts=[source])]
    )


def _part(file: Mapping[str, str]) -> a2a.Part:
    path = file["path"]
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    body = file["text"].encode() if "text" in file else base64.b64decode(file["base64"])
    return a2a.Part(raw=body, filename=path, media_type=kind)


def _block(text: str) -> str | None:
    """The program in a text, if there is one."""
    found = _BLOCK.search(text)
    return found[1].rstrip() or None if found else None


def _last_line(why: str) -> str:
    return why.rpartition("\n")[2]


async def _written(talk: list[Any]) -> str:
    """What a model answers. Raises _Silent when it does not."""
    try:
        from openai import APIStatusError, AsyncOpenAI, OpenAIError  # only who has a model needs it
    except ImportError:
        raise Reject("OPENAI_* is set, but the openai package is not installed here: pip install openai") from None
    try:
        # A model on this machine asks for no key, and the client for one.
        async with AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none") as client:
            answer = await client.chat.completions.create(
                model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), messages=talk
            )
    except APIStatusError as error:
        _logger.warning("the model did not answer: %s", error)
        raise _Silent(f"it answers with HTTP status {error.status_code}") from error
    except OpenAIError as error:
        _logger.warning("the model did not answer: %s", error)
        raise _Silent("it cannot be reached, or does not answer in time") from error
    return (answer.choices[0].message.content if answer.choices else None) or "(nothing)"
