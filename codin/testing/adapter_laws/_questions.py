"""Laws of questions: what a framework asks a person, the caller is asked, and the answer goes back."""

from __future__ import annotations

import json

from codin.testing._answers import Answer, Body, ModelAnswer
from codin.testing.adapter_laws._case import AdapterCase, Asking
from codin.testing.adapter_laws._desk import Turn, desk
from codin.testing.adapter_laws._law import law

__all__: list[str] = []


def _model(asking: Asking) -> Answer:
    """Calls what the case says until there is a result, and then repeats the result."""

    def answer(body: Body) -> ModelAnswer:
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if asking.calls and not results:
            return ModelAnswer(calls=asking.calls)
        return ModelAnswer(f"Done: {json.dumps([message['content'] for message in results])}")

    return answer


def _check_asked(turn: Turn, asking: Asking, state: str = "INPUT_REQUIRED") -> None:
    assert turn.state == state, turn.said
    questions = turn.questions
    assert len(questions) == len(asking.questions), "not every question is in the data part"
    for asked in asking.questions:
        assert asked.question in turn.said, "the question cannot be read"
        assert any(asked.question in question["question"] for question in questions)
    assert len({question["id"] for question in questions}) == len(questions)


def _check_done(turn: Turn, asking: Asking) -> None:
    assert turn.state == "COMPLETED", turn.said
    assert asking.outcome in turn.reply.text + json.dumps(turn.reply.data, ensure_ascii=False)


def _answers(turn: Turn, asking: Asking) -> dict[str, object]:
    """The answers as data, by the ids of the questions."""
    return {
        question["id"]: asked.data
        for asked in asking.questions
        for question in turn.questions
        if asked.question in question["question"]
    }


def _needed(asking: Asking | None) -> Asking:
    assert asking is not None
    return asking


@law("asking")
async def question(case: AdapterCase) -> None:
    """A question is INPUT_REQUIRED with words a person can read, and a plain answer goes to who asked."""
    asking = _needed(case.asking)
    async with desk(asking.make, _model(asking)) as at:
        asked = await at.send(asking.opening)
        _check_asked(asked, asking)
        _check_done(await at.send(asking.questions[0].answer, task=asked.task), asking)


@law("asking")
async def question_by_data(case: AdapterCase) -> None:
    """The question has an id and its value as data, and data answers it."""
    asking = _needed(case.asking)
    async with desk(asking.make, _model(asking)) as at:
        asked = await at.send(asking.opening)
        _check_asked(asked, asking)
        _check_done(await at.send(_answers(asked, asking), task=asked.task), asking)


@law("several")
async def several(case: AdapterCase) -> None:
    """Several questions are asked at once and answered by id; a lone answer is not guessed about."""
    asking = _needed(case.several)
    async with desk(asking.make, _model(asking)) as at:
        asked = await at.send(asking.opening)
        _check_asked(asked, asking)
        again = await at.send("neither here nor there", task=asked.task)
        _check_asked(again, asking)
        _check_done(await at.send(_answers(again, asking), task=asked.task), asking)


@law("asking")
async def restart(case: AdapterCase) -> None:
    """A question survives a restart of the server, and its answer finds who asked."""
    asking = _needed(case.asking)
    async with desk(asking.make, _model(asking), durable=True) as at:
        asked = await at.send(asking.opening)
        _check_asked(asked, asking)
        await at.restart()
        _check_done(await at.send(asking.questions[0].answer, task=asked.task), asking)


@law("authorizing")
async def authorization(case: AdapterCase) -> None:
    """A missing credential is AUTH_REQUIRED, and what the caller sends is kept nowhere."""
    asking = _needed(case.authorizing)
    credential = asking.questions[0].answer
    async with desk(asking.make, _model(asking)) as at:
        asked = await at.send(asking.opening)
        _check_asked(asked, asking, "AUTH_REQUIRED")
        _check_done(await at.send(credential, task=asked.task), asking)
        assert credential not in (await at.peer.get(asked.task.id)).to_json().decode()
