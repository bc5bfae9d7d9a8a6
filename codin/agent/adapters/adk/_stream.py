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
        self._speaking = None if speaking is None else frozenset(speaking)
        self._load = load
        self._activity = ToolActivity(task, enabled=tools)
        self._voices = _Voices()
        self._streamed: dict[_Speaker, list[str]] = {}
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
            if piece := self._piece(event):
                await self._task.write(piece)
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
        await self._task.write(self._voices.finish())

    def usage(self) -> dict[str, int]:
        """The sums over the models called; empty when none told."""
        return dict(self._counts)

    # -- text ----------------------------------------------------------------------------------------------------------

    def _silent(self, event: Event) -> bool:
        if event.author in self._structured:
            return True
        return self._speaking is not None and self._speaking.isdisjoint((event.author, event.node_info.name))

    def _piece(self, event: Event) -> str:
        """What of a piece is to be written now. There is one for each token, so that no coroutine is made for it."""
        text = _text_of(event)
        if not text or self._silent(event):
            return ""
        speaker = _speaker(event)
        self._streamed.setdefault(speaker, []).append(text)
        return self._voices.say(speaker, text)

    async def _text(self, event: Event) -> None:
        """The whole text comes again after its pieces: write what is new in it."""
        speaker = _speaker(event)
        streamed = "".join(self._streamed.pop(speaker, []))
        text = _text_of(event)
        if self._silent(event):
            if event.author in self._structured and text and event.is_final_response():
                await self._structure(speaker, text)
            return
        if text or streamed:
            self._said = text or streamed
            await self._last(speaker, text[len(streamed) :] if text.startswith(streamed) else "")

    async def _last(self, speaker: _Speaker, text: str) -> None:
        """The last piece of what a speaker says, and what was held back for it."""
        await self._task.write(self._voices.say(speaker, text) + self._voices.end(speaker))

    async def _structure(self, speaker: _Speaker, text: str) -> None:
        fenced = _FENCED.fullmatch(text)
        data = parse_json(fenced[1] if fenced else text)
        if data is None:
            await self._last(speaker, text)
        else:
            self.data = data

    async def _output(self, event: Event) -> None:
        """The output of the whole workflow, when this is it: a text is said, anything else is data."""
        output = event.output
        places = [event.node_info.path, *(event.node_info.output_for or [])]
        if output is None or all("/" in place for place in places):
            return
        if not isinstance(output, str):
            self.data = json_value(output)
        elif output != self._said:
            await self._last(_speaker(event), output)

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
    """Puts what several agents say at the same time one after the other, with a blank line in between.

    Its methods give what is to be written now.
    """

    def __init__(self) -> None:
        self._current: _Speaker | None = None
        self._behind: dict[_Speaker, list[str]] = {}
        self._ended: set[_Speaker] = set()
        self._spoken = False

    def say(self, speaker: _Speaker, text: str) -> str:
        """A piece, now or when it is this speaker's turn."""
        if speaker == self._current or not text:
            return text
        if self._current is None:
            self._current = speaker
            separated = f"\n\n{text}" if self._spoken else text
            self._spoken = True
            return separated
        if speaker in self._ended:  # it begins to say something else before the first could be written
            self._ended.discard(speaker)
            text = f"\n\n{text}"
        self._behind.setdefault(speaker, []).append(text)
        return ""

    def end(self, speaker: _Speaker) -> str:
        """The speaker has said it all."""
        if speaker != self._current:
            if speaker in self._behind:
                self._ended.add(speaker)
            return ""
        self._current = None
        said = ""
        while self._behind and self._current is None:
            following = next(iter(self._behind))
            said += self.say(following, "".join(self._behind.pop(following)))
            if following in self._ended:
                self._ended.discard(following)
                self._current = None
        return said

    def finish(self) -> str:
        """Nobody will say more."""
        said = ""
        while self._current is not None:
            said += self.end(self._current)
        return said


def _speaker(event: Event) -> _Speaker:
    return event.author, event.branch or "", event.node_info.path


def _parts(event: Event) -> list[types.Part]:
    return (event.content.parts if event.content is not None else None) or []


def _text_of(event: Event) -> str:
    """What is said aloud; thoughts are not."""
    text = ""
    for part in _parts(event):
        if part.text and not part.thought:
            text += part.text
    return text
