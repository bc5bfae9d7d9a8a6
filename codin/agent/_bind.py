"""From a message to the arguments of a function: planned when it is decorated, followed at each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from fnmatch import fnmatchcase
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from codin import a2a
from codin.agent._field_names import field_names
from codin.task import Task
from codin.tool._fields import fields_adapter, hint_adapter
from codin.tool._hints import Kind
from codin.tool._signature import Parameter

__all__ = ["Bind", "Inputs", "Unfit", "plan"]

Arguments = dict[str, Any]
Bind = Callable[[Task], Arguments]
Reader = Callable[[Task, Arguments], None]

_SHOWN = 3  # problems named in one reason
_NO_FIELD = "this agent has no such field"


class Unfit(Exception):
    """The message does not give what the function needs; the text says which parameter and why."""


class Inputs:
    """Which parameter is filled from what.

    Attributes:
        text: the parameter that is the text of the message.
        whole: the parameter that is the data part as it is.
        fields: the parameters that are the fields of the data part.
        first: of the fields, the one that text alone fills.
        files: the parameters that are files, in order.
        direct: the parameters that are the task or the message.
        schema: of what the data part holds; None when it is anything, or nothing is read from it.
    """

    def __init__(self, parameters: Sequence[Parameter], label: str) -> None:
        self.direct = [parameter for parameter in parameters if parameter.hint.kind in _DIRECT]
        self.files = [parameter for parameter in parameters if parameter.hint.kind in _FILES]
        self.text: Parameter | None = None
        self.whole: Parameter | None = None
        self.fields: list[Parameter] = []
        self.first: Parameter | None = None
        content = [parameter for parameter in parameters if parameter.hint.kind not in _DIRECT | _FILES]
        self._share(content)
        self.schema: TypeAdapter[Any] | None = None
        if self.fields:
            self.schema = fields_adapter(content, label)
        elif self.whole is not None and self.whole.hint.kind is Kind.OBJECT:
            self.schema = hint_adapter(self.whole, label)

    def _share(self, content: Sequence[Parameter]) -> None:
        """Decide who reads the text and who the data part."""
        texts = [parameter for parameter in content if parameter.hint.kind is Kind.TEXT]
        wholes = [parameter for parameter in content if parameter.hint.kind is Kind.OBJECT]
        if len(content) == 1 and content[0].hint.kind is not Kind.VALUE:
            self.text = texts[0] if texts else None
            self.whole = None if texts else content[0]
        elif len(content) == 2 and len(texts) == len(wholes) == 1:
            self.text, self.whole = texts[0], wholes[0]
        else:
            self.fields = list(content)
            if content and not any(parameter.required for parameter in content[1:]):
                self.first = content[0]


_DIRECT = {Kind.TASK, Kind.MESSAGE}
_MANY = {Kind.MANY_BYTES, Kind.MANY_PARTS}
_FILES = {Kind.BYTES, Kind.PART, *_MANY}


def plan(inputs: Inputs, label: str) -> Bind:
    """The function that makes the arguments of one call. It raises Unfit."""
    readers: list[Reader] = [_direct(parameter) for parameter in inputs.direct]
    if inputs.text is not None:
        readers.append(_text(inputs.text, label, alone=inputs.whole is None))
    if inputs.whole is not None:
        readers.append(_whole(inputs.whole, inputs.schema, text_is_free=inputs.text is None))
    if inputs.fields and inputs.schema is not None:
        readers.append(_Fields(inputs.fields, inputs.first, inputs.schema))
    readers += [_file(parameter, index) for index, parameter in enumerate(inputs.files)]
    if not inputs.direct and not any(parameter.hint.kind in _MANY for parameter in inputs.files):
        readers.append(_no_more_files(len(inputs.files)))

    def bind(task: Task) -> Arguments:
        arguments: Arguments = {}
        for read in readers:
            read(task, arguments)
        return arguments

    return bind


# -- what stands in the message ----------------------------------------------------------------------------------------


def _direct(parameter: Parameter) -> Reader:
    name = parameter.name
    if parameter.hint.kind is Kind.TASK:

        def read_task(task: Task, arguments: Arguments) -> None:
            arguments[name] = task

        return read_task

    def read_message(task: Task, arguments: Arguments) -> None:
        arguments[name] = task.message

    return read_message


def _text(parameter: Parameter, label: str, *, alone: bool) -> Reader:
    """The text; for a function of nothing else, also a data part that holds it by name."""
    name = parameter.name
    constrained = hint_adapter(parameter, label) if parameter.hint.constrained else None
    by_name = _Fields([parameter], None, fields_adapter([parameter], label)) if alone else None

    def read_text(task: Task, arguments: Arguments) -> None:
        parts = task.message.parts
        text = parts[0].text if len(parts) == 1 else _text_of(task)
        if text is not None:
            arguments[name] = text if constrained is None else _checked(constrained.validate_python, text, name)
        elif by_name is not None and _data_part(task) is not None:
            by_name(task, arguments)
        else:
            _leave_out(parameter, arguments, "the message has no text")

    return read_text


def _whole(parameter: Parameter, adapter: TypeAdapter[Any] | None, *, text_is_free: bool) -> Reader:
    """The data part; else, when no other parameter reads it, the text as JSON."""
    name, hint = parameter.name, parameter.hint
    known = field_names(hint.core) if adapter is not None and not hint.constrained else None

    def read_whole(task: Task, arguments: Arguments) -> None:
        part = _data_part(task)
        text = _text_of(task) if part is None and text_is_free else None
        if part is None and not text:
            _leave_out(parameter, arguments, "the message has no data part")
        elif adapter is None:
            arguments[name] = text if part is None else part.data
        else:
            if known is not None:
                _no_more_fields(_parsed(text or "") if part is None else part.data, known)
            arguments[name] = _checked(adapter.validate_json, text if part is None else _json(part.data))

    return read_whole


def _no_more_fields(data: Any, known: Set[str]) -> None:
    """Raises Unfit for a field that nobody would read: it is a typing mistake, or meant for another agent."""
    if isinstance(data, dict) and (unknown := cast("dict[str, Any]", data).keys() - known):
        raise Unfit("; ".join(f"{name}: {_NO_FIELD}" for name in sorted(unknown)[:_SHOWN]))


class _Fields:
    """The fields of one object: the data part, or the text."""

    def __init__(self, fields: Sequence[Parameter], first: Parameter | None, adapter: TypeAdapter[Any]) -> None:
        self._fields = fields
        self._names = {parameter.name for parameter in fields}
        self._first = first
        self._check = adapter.validate_json
        # None for what may be None and has no other default; every other default is Python's business
        self._nothing = {field.name: None for field in fields if not field.required and not field.has_default}

    def __call__(self, task: Task, arguments: Arguments) -> None:
        part, text = _data_part(task), _text_of(task)
        given = self._from_text(text) if part is None else self._from_data(part.data, text)
        arguments.update(self._nothing | given)

    def _from_data(self, data: Any, text: str | None) -> Arguments:
        head = self._fields[0]
        given = cast("dict[str, Any]", data) if isinstance(data, dict) else None
        if len(self._fields) == 1 and (given is None or (head.name not in given and head.hint.kind is Kind.VALUE)):
            return _checked(self._check, _json({head.name: data}))
        if given is not None and text and (lacking := self._lacking(given)) is not None:
            parsed = _NOT_JSON if lacking.hint.kind is Kind.TEXT else _parsed(text)
            given = {**given, lacking.name: text if parsed is _NOT_JSON else parsed}
        return _checked(self._check, _json(data if given is None else given))

    def _lacking(self, given: Arguments) -> Parameter | None:
        """What text beside the data is for: the first text that the data lacks, else the first thing it has to have."""
        missing = [field for field in self._fields if field.name not in given]
        texts = (field for field in missing if field.hint.kind is Kind.TEXT)
        return next(texts, None) or next((field for field in missing if field.required), None)

    def _from_text(self, text: str | None) -> Arguments:
        if not text:
            return _checked(self._check, b"{}")
        parsed = _parsed(text)
        if isinstance(parsed, dict) and self._names & cast("dict[str, Any]", parsed).keys():
            return _checked(self._check, text)
        first = self._first
        if first is None:
            raise Unfit(f"this agent reads a JSON object with {_listed(self._fields)}")
        if first.hint.kind not in (Kind.TEXT, Kind.ANY) and parsed is not _NOT_JSON:
            try:
                return self._check(_json({first.name: parsed}))
            except ValidationError:
                pass  # the text as it is may still fit: a member of an enum that looks like a number
        return _checked(self._check, _json({first.name: text}))


def _file(parameter: Parameter, index: int) -> Reader:
    """The file at that place; for a list, the files from there on."""
    name, kind = parameter.name, parameter.hint.kind
    many = kind in _MANY
    as_bytes = kind in (Kind.BYTES, Kind.MANY_BYTES)
    accepted = [media.type for media in parameter.hint.media]

    def taken(part: a2a.Part) -> Any:
        media_type = part.media_type
        if accepted and media_type and not any(fnmatchcase(media_type, pattern) for pattern in accepted):
            raise Unfit(f"{name}: takes {' or '.join(accepted)}, and the file is {media_type}")
        if as_bytes and part.raw is None:
            raise Unfit(f"{name}: this agent does not fetch files; send the file's bytes and not its URL")
        return part.raw if as_bytes else part

    def read_file(task: Task, arguments: Arguments) -> None:
        files = task.files[index:]
        if not files:
            _leave_out(parameter, arguments, "a file is missing")
        elif many:
            arguments[name] = [taken(part) for part in files]
        else:
            arguments[name] = taken(files[0])

    return read_file


def _no_more_files(taken: int) -> Reader:
    """For a function that cannot look at the message itself: what no parameter takes would be lost without a word."""
    takes = f"{taken} file{'s' if taken > 1 else ''}" if taken else "no files"

    def read_none(task: Task, arguments: Arguments) -> None:
        parts = task.message.parts
        if (len(parts) != 1 or parts[0].text is None) and (sent := len(task.files)) > taken:
            raise Unfit(f"this agent takes {takes}, and the message has {sent}")

    return read_none


# -- checks ------------------------------------------------------------------------------------------------------------


def _checked(validate: Callable[[Any], Any], value: Any, name: str = "") -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise Unfit(_reason(error, name)) from None


def _reason(error: ValidationError, name: str) -> str:
    """Which fields are wrong and why, without the values: they may be secrets."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        return "this agent reads JSON, and the text is not JSON"
    shown = [f"{_path(name, problem['loc'])}{_said(problem)}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN} more")
    return "; ".join(shown)


def _said(problem: ErrorDetails) -> str:
    return _NO_FIELD if problem["type"] == "extra_forbidden" else problem["msg"]


def _path(name: str, location: tuple[int | str, ...]) -> str:
    path = name
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return f"{path}: " if path else ""


def _listed(fields: Sequence[Parameter]) -> str:
    return ", ".join(repr(field.name) + ("" if field.required else " (optional)") for field in fields)


def _leave_out(parameter: Parameter, arguments: Arguments, reason: str) -> None:
    """The default, or None where that is a value. Raises Unfit where neither is."""
    if parameter.required:
        raise Unfit(f"{parameter.name}: {reason}")
    if not parameter.has_default:
        arguments[parameter.name] = None


def _text_of(task: Task) -> str | None:
    """The text parts joined; None when there are none."""
    texts = [part.text for part in task.message.parts if part.text is not None]
    return "".join(texts) if texts else None


def _data_part(task: Task) -> a2a.Part | None:
    return next((part for part in task.message.parts if part.kind == "data"), None)


_NOT_JSON = object()


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return _NOT_JSON


def _json(value: Any) -> bytes:
    """As JSON text, because what came as JSON is checked by JSON's rules: a strict model takes a date as text there."""
    try:
        return to_json(value)
    except ValueError as error:
        raise Unfit(f"the data part is not JSON: {error}") from None
