"""What an adapter's author writes: how to make the framework's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codin.client import Content
from codin.testing.adapter_laws._bench import Bench

__all__ = ["AdapterCase", "Asked", "Asking", "Make"]

Make = Callable[[Bench], Any]
"""Makes an object of the framework, or an agent by `bench.adapt`; a coroutine function may do so, too."""


@dataclass(frozen=True)
class Asked:
    """A question and an answer to it.

    Args:
        question: words that the caller must be able to read.
        answer: what a person answers.
        value: the same as data; the answer itself by default.
    """

    question: str
    answer: str
    value: Any = None

    @property
    def data(self) -> Any:
        """The answer of a program."""
        return self.answer if self.value is None else self.value


@dataclass(frozen=True)
class Asking:
    """An object that asks its caller.

    Args:
        make: the object; it asks when it is sent `opening`.
        questions: all that it asks at once.
        outcome: what is in its final text or data when the questions were answered so.
        calls: what the model answers first, where it takes the model to call the tool that asks.
    """

    make: Make
    questions: Sequence[Asked]
    outcome: str
    opening: Content = "Go."
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()


@dataclass(frozen=True)
class AdapterCase:
    """One framework. What it cannot do is left out, and said in `cannot`.

    Args:
        name: of the framework, as people write it.
        chat: says what the model says, has the tools of the bench, and remembers its context.
        structured: answers with the data `{"name": …, "people": …}`, a string and an integer, that the model gives.
        asking: asks one question.
        several: asks several questions at once.
        authorizing: asks for a credential; the answer is the credential.
        file: answers with a file whose bytes are `b"tide"`.
        failing: raises `RuntimeError(bench.secret)` in the framework's hands.
        cannot: the laws that the framework cannot keep, by name, and why.
    """

    name: str
    chat: Make | None = None
    structured: Make | None = None
    asking: Asking | None = None
    several: Asking | None = None
    authorizing: Asking | None = None
    file: Make | None = None
    failing: Make | None = None
    cannot: Mapping[str, str] = field(default_factory=dict[str, str])
