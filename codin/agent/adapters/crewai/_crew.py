"""A crew as an agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack, cast

from crewai import Crew, CrewOutput, TaskOutput
from crewai import Task as CrewTask
from crewai.tasks.conditional_task import ConditionalTask

from codin.agent.adapters._questions import Unclear, answers, ask, json_value
from codin.agent.adapters.crewai._copies import copy_of_crew
from codin.agent.adapters.crewai._human import Draft, Drafted, Reviewer, feedback_of, review_question
from codin.agent.adapters.crewai._input import Fields, text_field
from codin.agent.adapters.crewai._options import CrewAIOptions
from codin.agent.adapters.crewai._output import answer_of, schema_of
from codin.agent.adapters.crewai._served import Served
from codin.agent.adapters.crewai._tools import tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task

__all__ = ["CrewAgent"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")  # what CrewAI fills in; `fetch_inputs` takes any braces for one
_UNNAMED = "crew"


class CrewAgent(Served):
    """A crew as an agent. What its last task says is the answer."""

    def __init__(self, crew: Crew, **options: Unpack[CrewAIOptions]) -> None:
        if not crew.tasks:
            raise ConfigError("a crew without tasks has nothing to do", hint="give it tasks, or serve an agent of it")
        self._crew = crew
        last = crew.tasks[-1]
        model = last.output_pydantic or last.output_json
        self._fields = _fields(crew, options)
        super().__init__(
            options,
            name=crew.name or _UNNAMED,
            description="\n".join(f"{agent.role}: {agent.goal}" for agent in crew.agents),
            tools=tools_of([tool for member in (*crew.agents, *crew.tasks) for tool in member.tools or ()]),
            output_modes=["text/plain"] if model is None else ["application/json"],
            input_schema=self._fields.schema,
            output_schema=schema_of(model),
        )
        # What is streamed is the answer: a draft that is reviewed first is none yet.
        self._streams = model is None and not (last.guardrail or last.guardrails or last.human_input)

    async def handle(self, task: Task) -> AgentResponse:
        """Run the crew for a new task, or go on with the draft that was reviewed."""
        token = cast("Mapping[str, Any] | None", task.resume)
        if token is None:
            return await self._run(task, self._fields.read(task.message))
        draft = Draft(**token["draft"])
        question = review_question(self._name_of(draft.index), draft.text)
        try:
            (value,) = answers([question], Answer(task.message)).values()
            reviewed = replace(draft, feedback=feedback_of(value))
        except Unclear as problem:
            return ask([question], token, str(problem))
        return await self._run(task, token["inputs"], token["outputs"], reviewed)

    async def _run(
        self,
        task: Task,
        inputs: Mapping[str, Any],
        outputs: list[dict[str, Any]] | None = None,
        reviewed: Draft | None = None,
    ) -> AgentResponse:
        human = Reviewer(reviewed)
        run = self._begin(task, human)

        async def work() -> CrewOutput:
            crew = human.crew = copy_of_crew(self._crew)
            _restore(crew, outputs or [])
            last = str(crew.tasks[-1].id)
            run.relay.answers = lambda _, event: self._streams and event.task_id == last
            return await cast("Any", crew).akickoff(dict(inputs))

        try:
            return await answer_of(await run.execute(work), run.relay)
        except Drafted as paused:
            draft, crew = paused.draft, cast("Crew", human.crew)
            token = {"inputs": json_value(inputs), "outputs": _saved(crew, draft.index), "draft": json_value(draft)}
            return ask([review_question(self._name_of(draft.index), draft.text)], token)

    def _name_of(self, index: int) -> str:
        return self._crew.tasks[index].name or f"task {index + 1}"


def _fields(crew: Crew, options: CrewAIOptions) -> Fields:
    name, values = options.get("name") or crew.name or _UNNAMED, options.get("defaults", {})
    variables = sorted(variable for variable in crew.fetch_inputs() if _VARIABLE.fullmatch(variable))
    open_ones = [variable for variable in variables if variable not in values]
    if crew.before_kickoff_callbacks:  # they make inputs of inputs
        wanted = text_field(options.get("text_field"), open_ones, ())
        return Fields(name, None, text=wanted, values=values, refuses_text=bool(variables))
    wanted = text_field(options.get("text_field"), open_ones, variables)
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in variables}, "required": open_ones}
    return Fields(name, variables, schema if variables else None, variables, wanted, values, bool(variables))


def _saved(crew: Crew, index: int) -> list[dict[str, Any]]:
    """What the tasks before this one have said; one that has not ended, and what follows it, is done again."""
    saved: list[dict[str, Any]] = []
    for task in crew.tasks[:index]:
        output = task.output
        if output is None and isinstance(task, ConditionalTask):
            output = task.get_skipped_task_output()
        if output is None:
            break
        said = output.model_dump(mode="json", exclude={"messages", "pydantic"})
        saved.append({**said, "pydantic": json_value(output.pydantic)})
    return saved


def _restore(crew: Crew, outputs: list[dict[str, Any]]) -> None:
    """Let the crew begin after the tasks that have been done."""
    for task, output in zip(crew.tasks, outputs, strict=False):
        task.output = _output(task, output)
    if outputs:
        crew.checkpoint_kickoff_event_id = "reviewed"  # as after a checkpoint: tasks with an output are skipped


def _output(task: CrewTask, saved: Mapping[str, Any]) -> TaskOutput:
    output = TaskOutput.model_validate({**saved, "pydantic": None})
    if saved["pydantic"] is not None and task.output_pydantic is not None:
        output.pydantic = task.output_pydantic.model_validate(saved["pydantic"])
    return output
