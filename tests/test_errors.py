"""The tree of errors: what is caught where, codes, words, and that errors survive a process border."""

from __future__ import annotations

import pickle

import pytest

from codin import errors
from codin.a2a import A2AError, InvalidParams
from codin.errors import CodinError, StoreError, TransportError

CLASSES: list[type[CodinError]] = [getattr(errors, name) for name in errors.__all__]


def test_every_error_is_caught_at_the_root() -> None:
    assert all(issubclass(cls, CodinError) for cls in CLASSES)
    assert issubclass(A2AError, CodinError)


@pytest.mark.parametrize("name", ["ConnectError", "DeadlineExceeded", "ResponseTooLarge", "BadResponse"])
def test_what_is_between_us_and_a_peer_is_a_transport_error(name: str) -> None:
    assert issubclass(getattr(errors, name), TransportError)


@pytest.mark.parametrize("name", ["Conflict", "LeaseLost", "StoreInUse"])
def test_what_the_store_refuses_is_a_store_error(name: str) -> None:
    assert issubclass(getattr(errors, name), StoreError)


def test_codes_are_unique_and_of_one_form() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("CODIN-1") and len(code) == 10 for code in codes)


def test_codes_are_frozen() -> None:
    # Scripts and documentation rely on them.
    assert errors.ResponseTooLarge.code == "CODIN-1203"
    assert errors.TaskClosed.code == "CODIN-1300"
    assert errors.StoreInUse.code == "CODIN-1403"


def test_the_hint_follows_the_message() -> None:
    assert str(CodinError("The file is missing.")) == "The file is missing."
    for message in ("The file is missing.", "The file is missing"):
        assert str(CodinError(message, hint="Create it.")) == "The file is missing. Hint: Create it."


@pytest.mark.parametrize(
    "error",
    [
        errors.Conflict("no", hint="again"),
        errors.CardChanged("changed", changes=["a", "b"]),
        errors.FileRefused("no such file", path="a.txt"),
        errors.NoRuntime("nowhere", able=["docker"]),
        errors.InvalidArguments("no integer", tool="add", field="a.b"),
        InvalidParams.of("id", "missing", hint="name it"),
    ],
)
def test_an_error_survives_pickling(error: CodinError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
