"""The events of a run, written to the task as they come."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeAlias

from google.adk.events.event import Event
from google.genai import types

from codin.agent.adapters._activity import ToolActivity
from codin.agent.adapters._questions import json_value, object_of, parse_json
from codin.agent.adapters.adk._parts import file_of
from codin.agent.adapters.adk._questions import CONFIRMATION, CREDENTIAL, INPUT, Pending
from codin.task import Task

__all__ = ["LoadFile", "Relay"]

LoadFile: TypeAlias = Callable[[str, int], Awaitable[types.Part | None]]
_Speaker: TypeAlias = tuple[str, str, str]
_FENCED = re.compile(r"\s*```\w*\n(.*)\n```\s*", re.DOTALL)


class Relay:
    """Writes what agents say, and remembers what the outcome needs.

    Args:
        structured: agents with an output schema. What they say is data, and no text.
        speaking: names of the agents and nodes whose text is the answer; None for all.
        load: gives an artifact by name and version.
        tools: tell of tool calls.

    Attributes:
        pending: calls that wait for an answer, in the order they came.
        data: what the last structured agent said, or the output of the workflow.
        error: the code of an error that ended an agent, until it says something again.
        dropped: events in which a tool asks again after it was answered. ADK makes no call of that.
    """

    def __init__(
        self,
        task: Task,
        *,
        structured: Collection[str] = (),
        speaking: Collection[str] | None = None,
        load: LoadFile | None = None,
        tools: bool = False,
    ) -> None:
        self._task = task
        self._structured = structured
        self._speaking = speaking
        self._load = load
        self._activity = ToolActivity(task, enabled=tools)
        self._voices = _Voices(task)
        self._streamed: dict[_Speaker, str] = {}
        self._said = ""
        self._counts: dict[str, int] = {}
        self._errors: dict[str, str] = {}
        self._asked: set[str] = set()
        self.pending: dict[str, Pending] = {}
        self.data: Any = None
        self.dropped: list[Event] = []

    @property
    def error(self) -> str | None:
        """The newest of them."""
        return next(reversed(self._errors.values()), None)

    async def take(self, event: Event) -> None:
        """Write one event. A partial event is a piece of text; half-made calls in it are not to be used."""
        if event.author == "user":
            return
        if event.partial:
            await self._piece(event)
            return
        self._count(event)
        if event.error_code:
            self._errors[event.author] = str(event.error_code)
        elif event.content is not None:
            self._errors.pop(event.author, None)
        await self._text(event)
        await self._files(event)
        await self._calls(event)
        await self._output(event)

    def answered(self, message: types.Content) -> None:
        """This message answers calls; agents and nodes that still waited have asked again meanwhile."""
        for part in message.parts or []:
            if part.function_response is not None:
                self.pending.pop(part.function_response.id or "", None)

    async def finish(self) -> None:
        """Write what was held back for an agent that never came to its end."""
        await self._voices.finish()

    def usage(self) -> dict[str, int]:
        """The sums over the models called; empty when none told."""
        return dict(self._counts)

    # -- text ----------------------------------------------------------------------------------------------------------

    def _silent(self, event: Event) -> bool:
        if event.author in self._structured:
            return True
        return self._speaking is not None and not {event.author, event.node_info.name} & set(self._speaking)

    async def _piece(self, event: Event) -> None:
        text = _text_of(event)
        if not text or self._silent(event):
            return
        speaker = _speaker(event)
        self._streamed[speaker] = self._streamed.get(speaker, "") + text
        await self._voices.say(speaker, text)

    async def _text(self, event: Event) -> None:
        """The whole text comes again after its pieces: write what is new in it."""
        speaker = _speaker(event)
        streamed = self._streamed.pop(speaker, "")
        text = _text_of(event)
        if self._silent(event):
            if event.author in self._structured and text and event.is_final_response():
                await self._structure(speaker, text)
            return
        if text.startswith(streamed):
            await self._voices.say(speaker, text[len(streamed) :])
        if text or streamed:
            self._said = text or streamed
            await self._voices.end(speaker)

    async def _structure(self, speaker: _Speaker, text: str) -> None:
        fenced = _FENCED.fullmatch(text)
        data = parse_json(fenced[1] if fenced else text)
        if data is not None:
            self.data = data
            return
        await self._voices.say(speaker, text)
        await self._voices.end(speaker)

    async def _output(self, event: Event) -> None:
        """The output of the whole workflow, when this is it: a text is said, anything else is data."""
        output = event.output
        places = [event.node_info.path, *(event.node_info.output_for or [])]
        if output is None or all("/" in place for place in places):
            return
        if not isinstance(output, str):
            self.data = json_value(output)
        elif output != self._said:
            speaker = _speaker(event)
            await self._voices.say(speaker, output)
            await self._voices.end(speaker)

    # -- everything else -----------------------------------------------------------------------------------------------

    async def _files(self, event: Event) -> None:
        for part in _parts(event):
            if part.text is None and (file := file_of(part, None)) is not None:
                await self._task.artifact([file], name=file.filename)
        for name, version in event.actions.artifact_delta.items():
            part = None if self._load is None else await self._load(name, version)
            shown = name.removeprefix("user:")
            if part is not None and (file := file_of(part, shown)) is not None:
                await self._task.artifact([file], name=shown, artifact_id=f"file-{shown}")

    async def _calls(self, event: Event) -> None:
        waiting = event.long_running_tool_ids or set()
        for call in event.get_function_calls():
            key, name, args = call.id or "", call.name or "", call.args or {}
            if key in waiting:
                self.pending[key] = Pending(key, name, args, event.branch)
            if name in {CONFIRMATION, CREDENTIAL}:
                self._asked |= {
                    str(object_of(args.get("originalFunctionCall")).get("id")),
                    str(args.get("functionCallId")),
                }
            elif name != INPUT:
                await self._activity.started(key, name, args)
        for response in event.get_function_responses():
            self.pending.pop(response.id or "", None)  # a long-running tool that said something itself
            await self._activity.finished(response.id or "", response.name or "", response.response)
        asking = event.actions.requested_tool_confirmations.keys() | event.actions.requested_auth_configs.keys()
        if asking and not asking & self._asked:  # it makes one call for several tools that want one credential
            self.dropped.append(event)

    def _count(self, event: Event) -> None:
        usage = event.usage_metadata
        if usage is None:
            return
        told = {
            "input_tokens": usage.prompt_token_count,
            "output_tokens": (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            "total_tokens": usage.total_token_count,
        }
        for name, count in told.items():
            self._counts[name] = self._counts.get(name, 0) + (count or 0)


class _Voices:
    """Puts what several agents say at the same time one after the other, with a blank line in between."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._current: _Speaker | None = None
        self._behind: dict[_Speaker, list[str]] = {}
        self._ended: set[_Speaker] = set()
        self._wrote = False
        self._separate = False

    async def say(self, speaker: _Speaker, text: str) -> None:
        """Write a piece, now or when it is this speaker's turn."""
        if not text:
            return
        if self._current is None:
            self._current = speaker
            self._separate = self._wrote
        if speaker != self._current:
            if speaker in self._ended:  # it begins to say something else before the first could be written
                self._ended.discard(speaker)
                text = f"\n\n{text}"
            self._behind.setdefault(speaker, []).append(text)
            return
        await self._task.write(f"\n\n{text}" if self._separate else text)
        self._separate = False
        self._wrote = True

    async def end(self, speaker: _Speaker) -> None:
        """The speaker has said it all."""
        if speaker != self._current:
            if speaker in self._behind:
                self._ended.add(speaker)
            return
        self._current = None
        while self._behind and self._current is None:
            following = next(iter(self._behind))
            await self.say(following, "".join(self._behind.pop(following)))
            if following in self._ended:
                self._ended.discard(following)
                self._current = None

    async def finish(self) -> None:
        """Nobody will say more."""
        while self._current is not None:
            await self.end(self._current)


def _speaker(event: Event) -> _Speaker:
    return event.author, event.branch or "", event.node_info.path


def _parts(event: Event) -> list[types.Part]:
    return (event.content.parts if event.content is not None else None) or []


def _text_of(event: Event) -> str:
    """What is said aloud; thoughts are not."""
    return "".join(part.text for part in _parts(event) if part.text and not part.thought)
