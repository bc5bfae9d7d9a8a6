"""A message becomes the input of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agno.media import Audio, File, Image, Video
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._expected import expected, problem
from codin.agent.adapters._media import media_type_of
from codin.agent.adapters._questions import parse_json
from codin.task import Reject

__all__ = ["run_input"]

_MEDIA: dict[str, tuple[str, type[Any]]] = {
    "image": ("images", Image),
    "audio": ("audio", Audio),
    "video": ("videos", Video),
}


def run_input(name: str, schema: type[Any] | None, message: a2a.Message, *, urls: bool) -> dict[str, Any]:
    """The arguments of a run that hold what the caller sent: `input`, `images`, `audio`, `videos`, `files`.

    Args:
        schema: of the input, where the agent has one; the input is then data alone.
        urls: files may be given by URL.

    Raises:
        Reject: the message does not fit; the reason names what is expected.
    """
    if schema is not None:
        return {"input": _structured(name, schema, message.parts)}
    texts: list[str] = []
    media: dict[str, Any] = {}
    for part in message.parts:
        text = _text(part)
        if text is None:
            argument, item = _file(name, part, urls=urls)
            media.setdefault(argument, []).append(item)
        else:
            texts.append(text)
    return {"input": "\n\n".join(texts), **media}


def _text(part: a2a.Part) -> str | None:
    if part.kind == "text":
        return part.text
    if part.kind == "data":
        return to_json(part.data).decode()
    if part.raw is not None and media_type_of(part).startswith("text/"):
        return part.raw.decode(errors="replace")
    return None


def _file(name: str, part: a2a.Part, *, urls: bool) -> tuple[str, Any]:
    media_type = media_type_of(part)
    if part.raw is None and not urls:
        raise Reject(f"{name} takes files as bytes, and got a URL.")
    source: dict[str, Any] = {"url": part.url} if part.raw is None else {"content": part.raw}
    kind, _, form = media_type.partition("/")
    if kind in _MEDIA:
        argument, medium = _MEDIA[kind]
        return argument, medium(**source, mime_type=media_type, format=form)
    if media_type not in File.valid_mime_types():
        raise Reject(f"{name} takes no files of type {media_type!r}.")
    return "files", File(**source, mime_type=media_type, filename=part.filename, name=part.filename)


def _structured(name: str, schema: type[Any], parts: Sequence[a2a.Part]) -> Any:
    adapter = TypeAdapter[Any](schema)
    try:
        told = adapter.json_schema()
    except PydanticUserError:
        told = None
    fields: Sequence[str] = list((told or {}).get("properties", ()))
    given = [parse_json(part.text) if part.text is not None else part.data for part in parts]
    if len(given) != 1 or not isinstance(given[0], dict):
        raise Reject(expected(name, told, fields))
    try:
        return adapter.validate_python(given[0])
    except ValidationError as error:
        raise Reject(f"{problem(error)}. {expected(name, told, fields)}") from None
