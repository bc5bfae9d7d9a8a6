"""Functions of the host that a component can call, without wasmtime's own conversion of their values.

That one looks at every byte of a `list<u8>` by itself, a microsecond each; here bytes go over as bytes.
"""

# The structures of wasmtime's C interface have no types that a checker could follow.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Mapping
from ctypes import byref
from typing import Any, TypeAlias

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wit

from codin.sandbox._wasm._files import Fault

__all__ = ["HostFunction", "Stop", "add_function", "add_tick"]

HostFunction: TypeAlias = Callable[..., Any]
"""Takes Python values and gives one; where the component expects a result, raising Fault is its error."""

_Lower: TypeAlias = Callable[[Any, Any, Any], None]
"""Writes a Python value into a value of the component: (context, value, where)."""

_logger = logging.getLogger("codin.sandbox")
_Value: Any = ffi.wasmtime_component_val_t
_SIZE = ctypes.sizeof(_Value)
_OF = _Value.of.offset
_U8 = ffi.WASMTIME_COMPONENT_U8.value

_SCALARS: Mapping[int, str] = {
    ffi.WASMTIME_COMPONENT_BOOL.value: "boolean",
    ffi.WASMTIME_COMPONENT_U8.value: "u8",
    ffi.WASMTIME_COMPONENT_U16.value: "u16",
    ffi.WASMTIME_COMPONENT_U32.value: "u32",
    ffi.WASMTIME_COMPONENT_S32.value: "s32",
    ffi.WASMTIME_COMPONENT_U64.value: "u64",
}


class Stop(BaseException):
    """The command is to end here and now."""


_functions: list[tuple[HostFunction, _Lower | None]] = []
_ticks: list[Callable[[], None]] = []
_no_finalizer = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


def add_function(
    instance: wit.LinkerInstance, name: str, declared: wit.FuncType, function: HostFunction | None
) -> None:
    """Let components call a function of the host, for as long as this process lives.

    Args:
        declared: its type, as the component imports it.
        function: None when whoever calls it is to be ended.
    """
    result = None if function is None else declared.result
    _functions.append((function or _stop, None if result is None else _lowering(result)))
    encoded = name.encode()
    _check(
        ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(),
            ctypes.create_string_buffer(encoded),
            len(encoded),
            _called,
            len(_functions) - 1,
            _no_finalizer,
        )
    )


def add_tick(store: wasmtime.Store, tick: Callable[[], None]) -> None:
    """Call this on the thread of the store whenever the epoch of its engine moves on; raising Stop ends it."""
    if tick not in _ticks:
        _ticks.append(tick)
    store.set_epoch_deadline(1)
    ffi.wasmtime_store_epoch_deadline_callback(store.ptr(), _ticked, _ticks.index(tick), _no_finalizer)


def _stop(*_: object) -> None:
    raise Stop


@ffi.wasmtime_component_func_callback_t
def _called(index: Any, context: Any, _type: Any, args: Any, count: Any, results: Any, _results: Any) -> Any:
    function, lower = _functions[index or 0]
    try:
        given = [_lifted(context, args[i]) for i in range(count)]
        if lower is None:
            function(*given)
            return 0
        try:
            value: object = function(*given)
        except Fault as fault:
            value = fault
        lower(context, value, results[0])
    except Stop:
        return _trap("stopped")
    except BaseException:
        _logger.exception("a call of a sandboxed program failed on the side of the host")
        return _trap("the host failed")
    return 0


@ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.POINTER(ffi.wasmtime_context_t),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(ffi.wasmtime_update_deadline_kind_t),
)
def _ticked(_context: Any, index: Any, delta: Any, kind: Any) -> Any:
    try:
        _ticks[index or 0]()
    except BaseException:
        return _trap("stopped")
    delta[0] = 1
    kind[0] = 0
    return 0


def _trap(why: str) -> int | None:
    return ctypes.cast(wasmtime.WasmtimeError(why)._consume(), ctypes.c_void_p).value


def _check(error: Any) -> None:
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)


def _lifted(context: Any, value: Any) -> Any:
    """The Python value of what the component gave; wasmtime itself frees that."""
    kind, of = value.kind, value.of
    if (scalar := _SCALARS.get(kind)) is not None:
        return getattr(of, scalar)
    match kind:
        case ffi.WASMTIME_COMPONENT_STRING.value:
            return _text(of.string)
        case ffi.WASMTIME_COMPONENT_ENUM.value:
            return _text(of.enumeration)
        case ffi.WASMTIME_COMPONENT_LIST.value:
            return _lifted_list(context, of.list)
        case ffi.WASMTIME_COMPONENT_FLAGS.value:
            return frozenset(_text(of.flags.data[i]) for i in range(of.flags.size))
        case ffi.WASMTIME_COMPONENT_VARIANT.value:
            inner = of.variant.val
            return _text(of.variant.discriminant), _lifted(context, inner.contents) if inner else None
        case ffi.WASMTIME_COMPONENT_RECORD.value:
            return tuple(_lifted(context, of.record.data[i].val) for i in range(of.record.size))
        case ffi.WASMTIME_COMPONENT_RESULT.value:
            return of.result.is_ok
        case ffi.WASMTIME_COMPONENT_RESOURCE.value:
            return _lifted_resource(context, of.resource)
        case _:
            raise TypeError(f"a value of kind {kind} is not expected from a component")


def _text(name: Any) -> str:
    return ctypes.string_at(name.data, name.size).decode() if name.size else ""


def _lifted_list(context: Any, values: Any) -> Any:
    if not values.size:
        return b""
    if values.data[0].kind == _U8:
        return ctypes.string_at(values.data, values.size * _SIZE)[_OF::_SIZE]
    return [_lifted(context, values.data[i]) for i in range(values.size)]


def _lifted_resource(context: Any, resource: Any) -> int:
    host = ctypes.POINTER(ffi.wasmtime_component_resource_host_t)()
    _check(ffi.wasmtime_component_resource_any_to_host(context, resource, byref(host)))
    try:
        return ffi.wasmtime_component_resource_host_rep(host)
    finally:
        ffi.wasmtime_component_resource_host_delete(host)


def _lowering(declared: wit.ValType) -> _Lower:  # noqa: C901 — one case for each type there is
    """How Python values become values of this type."""
    match declared:
        case wit.Bool():
            return _lower_scalar("boolean", ffi.WASMTIME_COMPONENT_BOOL)
        case wit.U8():
            return _lower_scalar("u8", ffi.WASMTIME_COMPONENT_U8)
        case wit.U32():
            return _lower_scalar("u32", ffi.WASMTIME_COMPONENT_U32)
        case wit.U64():
            return _lower_scalar("u64", ffi.WASMTIME_COMPONENT_U64)
        case wit.String():
            return _lower_name("string", ffi.WASMTIME_COMPONENT_STRING)
        case wit.EnumType():
            return _lower_name("enumeration", ffi.WASMTIME_COMPONENT_ENUM)
        case wit.ListType() if isinstance(declared.element, wit.U8):
            return _lower_bytes
        case wit.ListType():
            return _lower_list(_lowering(declared.element))
        case wit.TupleType():
            return _lower_tuple([_lowering(element) for element in declared.elements])
        case wit.RecordType():
            return _lower_record([(name, _lowering(field)) for name, field in declared.fields])
        case wit.FlagsType():
            return _lower_flags
        case wit.OptionType():
            return _lower_option(_lowering(declared.payload))
        case wit.VariantType():
            return _lower_variant({name: case and _lowering(case) for name, case in declared.cases})
        case wit.ResultType():
            return _lower_result(declared.ok and _lowering(declared.ok), declared.err and _lowering(declared.err))
        case wit.OwnType():
            return _lower_own
        case _:
            raise TypeError(f"no value of type {type(declared).__name__} goes to a component")


def _lower_scalar(field: str, kind: Any) -> _Lower:
    def lower(_context: Any, value: Any, where: Any) -> None:
        where.kind = kind
        setattr(where.of, field, value)

    return lower


def _lower_name(field: str, kind: Any) -> _Lower:
    def lower(_context: Any, value: Any, where: Any) -> None:
        where.kind = kind
        setattr(where.of, field, ffi.str_to_capi(value))

    return lower


def _lower_bytes(_context: Any, value: bytes, where: Any) -> None:
    raw = ffi.wasmtime_component_vallist_t()
    ffi.wasmtime_component_vallist_new_uninit(raw, len(value))
    if value:
        values = bytearray(len(value) * _SIZE)
        values[0::_SIZE] = bytes([_U8]) * len(value)
        values[_OF::_SIZE] = value
        ctypes.memmove(raw.data, bytes(values), len(values))
    where.kind = ffi.WASMTIME_COMPONENT_LIST
    where.of.list = raw


def _lower_list(element: _Lower) -> _Lower:
    def lower(context: Any, value: list[Any], where: Any) -> None:
        raw = ffi.wasmtime_component_vallist_t()
        ffi.wasmtime_component_vallist_new_uninit(raw, len(value))
        for i, item in enumerate(value):
            element(context, item, raw.data[i])
        where.kind = ffi.WASMTIME_COMPONENT_LIST
        where.of.list = raw

    return lower


def _lower_tuple(elements: list[_Lower]) -> _Lower:
    def lower(context: Any, value: tuple[Any, ...], where: Any) -> None:
        raw = ffi.wasmtime_component_valtuple_t()
        ffi.wasmtime_component_valtuple_new_uninit(raw, len(elements))
        for i, element in enumerate(elements):
            element(context, value[i], raw.data[i])
        where.kind = ffi.WASMTIME_COMPONENT_TUPLE
        where.of.tuple = raw

    return lower


def _lower_record(fields: list[tuple[str, _Lower]]) -> _Lower:
    def lower(context: Any, value: tuple[Any, ...], where: Any) -> None:
        raw = ffi.wasmtime_component_valrecord_t()
        ffi.wasmtime_component_valrecord_new_uninit(raw, len(fields))
        for i, (name, field) in enumerate(fields):
            raw.data[i].name = ffi.str_to_capi(name)
            field(context, value[i], raw.data[i].val)
        where.kind = ffi.WASMTIME_COMPONENT_RECORD
        where.of.record = raw

    return lower


def _lower_flags(_context: Any, value: frozenset[str], where: Any) -> None:
    raw = ffi.wasmtime_component_valflags_t()
    ffi.wasmtime_component_valflags_new_uninit(raw, len(value))
    for i, name in enumerate(value):
        raw.data[i] = ffi.str_to_capi(name)
    where.kind = ffi.WASMTIME_COMPONENT_FLAGS
    where.of.flags = raw


def _boxed(context: Any, lower: _Lower | None, value: Any) -> Any:
    if lower is None:
        return None
    inner = _Value()
    lower(context, value, inner)
    return ffi.wasmtime_component_val_new(byref(inner))


def _lower_option(payload: _Lower) -> _Lower:
    def lower(context: Any, value: Any, where: Any) -> None:
        inner = None if value is None else _boxed(context, payload, value)
        where.kind = ffi.WASMTIME_COMPONENT_OPTION
        where.of.option = inner

    return lower


def _lower_variant(cases: dict[str, _Lower | None]) -> _Lower:
    def lower(context: Any, value: str | tuple[str, Any], where: Any) -> None:
        name, payload = (value, None) if isinstance(value, str) else value
        inner = _boxed(context, cases[name], payload)
        where.kind = ffi.WASMTIME_COMPONENT_VARIANT
        where.of.variant.discriminant = ffi.str_to_capi(name)
        where.of.variant.val = inner

    return lower


def _lower_result(ok: _Lower | None, err: _Lower | None) -> _Lower:
    def lower(context: Any, value: Any, where: Any) -> None:
        failed = isinstance(value, Fault)
        if failed:
            value = value.code if value.detail is None else (value.code, value.detail)
        inner = _boxed(context, err if failed else ok, value)
        where.kind = ffi.WASMTIME_COMPONENT_RESULT
        where.of.result.is_ok = not failed
        where.of.result.val = inner

    return lower


def _lower_own(context: Any, value: int, where: Any) -> None:
    host = ffi.wasmtime_component_resource_host_new(True, value, 0)
    out = ctypes.POINTER(ffi.wasmtime_component_resource_any_t)()
    try:
        _check(ffi.wasmtime_component_resource_host_to_any(context, host, byref(out)))
    finally:
        ffi.wasmtime_component_resource_host_delete(host)
    where.kind = ffi.WASMTIME_COMPONENT_RESOURCE
    where.of.resource = out
