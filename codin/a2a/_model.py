"""The model every protocol object is made from, and the ProtoJSON field types.

In: camelCase or snake_case, unknown fields ignored, `null` is absent, enums by name or number, base64 in both
alphabets, timestamps with any offset. Out: camelCase, defaults omitted, required fields kept, enum names, standard
base64 with padding, UTC.

Source: A2A v1.0.1 sections 5.5, 5.6.1 and 5.7; the JSON mapping of Protocol Buffers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json

from codin.a2a._errors import FieldViolation, InvalidParams, ParseError

INT32_MAX = 2**31 - 1
MAX_VIOLATIONS = 20

T = TypeVar("T")


def encode(value: object) -> bytes:
    """JSON bytes of a plain value. Lone surrogates become U+FFFD, NaN and infinities become null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        return to_json(_without_surrogates(value), inf_nan_mode="null")


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            items = cast("dict[object, object]", value).items()
            return {_without_surrogates(key): _without_surrogates(item) for key, item in items}
        case list() | tuple():
            return [_without_surrogates(item) for item in cast("list[object]", value)]
        case _:
            return value


class Model(BaseModel):
    """An object of the protocol: typed fields in snake_case, camelCase JSON in and out."""

    # Building a validator costs up to milliseconds, so a class gets its own when it is first used.
    model_config: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        defer_build=True,
    )

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read JSON text.

        Raises:
            ParseError: the text is not JSON.
            InvalidParams: a field is missing or wrong; `violations` names it.
        """
        try:
            return cls.__pydantic_validator__.validate_json(text)
        except ValidationError as error:
            raise wrong_fields(error) from None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Read JSON that is already parsed. Raises as `from_json` does."""
        try:
            return cls.__pydantic_validator__.validate_python(fields)
        except ValidationError as error:
            raise wrong_fields(error) from None

    def to_json(self) -> bytes:
        """ProtoJSON: camelCase, defaults omitted, required fields kept."""
        try:
            return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_defaults=True)
        except PydanticSerializationError:
            return encode(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The same as `to_json`, as plain Python values."""
        return self.__pydantic_serializer__.to_python(self, mode="json", by_alias=True, exclude_defaults=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Only what is set: most fields of most objects are not."""
        return ((name, value) for name, value in super().__repr_args__() if value not in _UNSET)


_UNSET: tuple[Any, ...] = (None, False, [], {})


class LenientModel(Model):
    """An object that peers send and that may lack required fields.

    A ProtoJSON writer drops a field that is empty, required or not, and both official SDKs do. What is missing reads as
    the empty value in `absent`; the field stays required for type checkers and is always written.
    """

    absent: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        missing = {
            name: empty
            for name, empty in cls.absent.items()
            if given.get(name) is None and given.get(to_camel(name)) is None
        }
        if not missing:
            return given
        return {**{key: item for key, item in given.items() if item is not None}, **missing}


def wrong_fields(error: ValidationError) -> InvalidParams | ParseError:
    """The protocol error for what pydantic found, with the first violations by JSON path."""
    found: list[FieldViolation] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_VIOLATIONS]:
        if item["type"] == "json_invalid":
            return unreadable(item["msg"])
        found.append(FieldViolation(json_path(item["loc"]), _WORDS.get(item["type"], item["msg"])))
    field, text = found[0]
    return InvalidParams(f"Invalid params: {field}: {text}" if field else f"Invalid params: {text}", violations=found)


# pydantic speaks of Python's types where the peer thinks in JSON.
_WORDS = {
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be an array",
}


def unreadable(reason: str) -> ParseError:
    """The protocol error for text that is not JSON, with a hint that fits."""
    reason = reason.removeprefix("Invalid JSON: ")
    if "recursion" in reason:
        return too_deep()
    return ParseError(f"Invalid JSON: {reason}", hint="Send one JSON document in UTF-8.")


def too_deep() -> ParseError:
    return ParseError("Invalid JSON: nested too deeply", hint="Send flatter objects, or nested content as text.")


def json_path(location: tuple[int | str, ...]) -> str:
    """`("message", "parts", 0, "media_type")` as `message.parts[0].mediaType`."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{to_camel(step) if '_' in step else step}"
    return path.removeprefix(".")


def one_of(message: str) -> PydanticCustomError:
    return PydanticCustomError("one_of", message)  # pyright: ignore[reportArgumentType]  (LiteralString)


# -- field types -------------------------------------------------------------------------------------------------------


def _null_is_empty(value: Any) -> Any:
    return [] if value is None else value


def _null_is_false(value: Any) -> Any:
    return False if value is None else value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _from_base64(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:  # the URL alphabet, or no padding: allowed and rare
        pass
    standard = value.translate(_TO_STANDARD).rstrip("=")
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except ValueError:
        raise PydanticCustomError("base64", "Input should be valid base64") from None


_TO_STANDARD = str.maketrans("-_", "+/")


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _only_text_or_datetime(value: Any) -> Any:
    # pydantic would read a number as seconds since 1970; ProtoJSON knows text only.
    if isinstance(value, str | datetime):
        return value
    raise PydanticCustomError("timestamp_type", "Input should be an RFC 3339 timestamp")


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp_range", "Input should be within the years 1 to 9999") from None


def _utc_milliseconds(value: datetime) -> datetime:
    value = _utc(value)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _rfc3339(value: datetime) -> str:
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


_AnyTime = Annotated[
    AwareDatetime, BeforeValidator(_only_text_or_datetime), PlainSerializer(_rfc3339, return_type=str, when_used="json")
]

# A list: null is empty; the first wrong item ends the check, so that a body of wrong items cannot buy a report of each.
Many = Annotated[list[T], FailFast(), BeforeValidator(_null_is_empty)]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_null_is_false)]
OptionalFlag = Annotated[bool, Field(strict=True)] | None
Count = Annotated[int, Field(ge=0, le=INT32_MAX), BeforeValidator(_no_bool)]
PageSize = Annotated[int, Field(ge=1, le=100), BeforeValidator(_no_bool)]
Id = Annotated[str, Field(min_length=1)]
Base64 = Annotated[bytes, BeforeValidator(_from_base64), PlainSerializer(_to_base64, return_type=str, when_used="json")]
Metadata = dict[str, JsonValue]
# A status is stamped in milliseconds, which is what travels, so both ends hold the same value.
Timestamp = Annotated[_AnyTime, AfterValidator(_utc_milliseconds)]
# A bound to compare with keeps what was asked.
Instant = Annotated[_AnyTime, AfterValidator(_utc)]
