"""The inside of a wasm sandbox: CPython with its standard library loaded, as it waits for one program.

This runs in the component and not on the host. All that is imported here is in the memory image that every command
starts from, because there are no files of the standard library later.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# ruff: noqa: PTH100, PTH109, PTH120, PTH123, T201

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import importlib.util
import io
import linecache
import os
import pkgutil
import runpy
import selectors
import site
import sys
import time
import types

import wit_world  # the other side of world.wit, which componentize-py generates

OUT_OF_MEMORY = -9

_NOT_LOADED = {"antigravity", "ensurepip", "idlelib", "test", "this", "tkinter", "turtle", "turtledemo", "venv"}
_RUN_BY_NAME = {"ast", "calendar", "dis", "doctest", "json.tool", "tarfile", "timeit", "tokenize", "trace"}


def _standard_library() -> list[str]:
    """The names of all modules with their submodules, as far as they can be found."""
    names = set(sys.builtin_module_names)
    for entry in pkgutil.walk_packages(["/python"], onerror=lambda name: None):
        if entry.name.split(".")[0] in sys.stdlib_module_names - _NOT_LOADED:
            names.add(entry.name)
    return sorted(names)


def _load(names: list[str]) -> dict[str, types.CodeType]:
    """Import the modules that work here; gives the code of those that `python -m` can run."""
    programs: dict[str, types.CodeType] = {}
    for name in names:
        try:
            if not name.endswith("__main__"):
                importlib.import_module(name)
            if name.endswith("__main__") or name in _RUN_BY_NAME:
                programs[name] = importlib.util.find_spec(name).loader.get_code(name)
        except BaseException:
            continue  # needs threads, processes or a library that is not here
    return programs


class _Nothing(selectors.SelectSelector):
    """Waits for timers only: there are no sockets and no other threads that could wake a loop."""

    def select(self, timeout: float | None = None) -> list:
        if timeout is None:
            raise RuntimeError("the event loop waits for something that cannot happen here")
        time.sleep(max(timeout, 0))
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop without the pair of sockets by which threads wake it."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector or _Nothing())

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


_programs = _load(_standard_library())
asyncio.SelectorEventLoop = asyncio.EventLoop = asyncio.unix_events.SelectorEventLoop = _Loop
asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = _Loop
site.setquit()
os._exit = lambda code: wit_world.finish(code & 0xFF)
sys.dont_write_bytecode = True
sys.path.clear()
sys.path_importer_cache.clear()
gc.collect()
gc.freeze()  # the collector of a command does not look through the library, nor copy its pages


class WitWorld(wit_world.WitWorld):
    def run(self, how: str, program: str, argv: list[str], env: list[tuple[str, str]], cwd: str) -> int:
        code = 0
        try:
            _begin(argv, env, cwd)
            _run(how, program)
        except BaseException as error:
            code = _told(error)
        return _end(code)


def _begin(argv: list[str], env: list[tuple[str, str]], cwd: str) -> None:
    out, err = (io.BufferedWriter(io.FileIO(number, "w", closefd=False)) for number in (1, 2))
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(out, "utf-8", line_buffering=True)
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(err, "utf-8", "backslashreplace", line_buffering=True)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = list(argv)


def _run(how: str, program: str) -> None:
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)) if how == "file" else os.getcwd())
    if how == "module":
        name = program if program in _programs else f"{program}.__main__"
        if name not in _programs:
            runpy._run_module_as_main(program, alter_argv=True)
            return
        code = _programs[name]
    elif how == "file":
        main.__file__ = os.path.abspath(program)
        code = compile(_read(program), program, "exec")
    else:
        program = sys.stdin.read() if how == "stdin" else program
        linecache.cache["<string>"] = (len(program), None, program.splitlines(keepends=True), "<string>")
        code = compile(program, "<string>", "exec")
    exec(code, vars(main))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        print(f"python: can't open file {path!r}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _told(error: BaseException) -> int:
    """What python itself would make of an exception that nobody caught: an exit code, and a traceback."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except MemoryError:
        pass  # then it is not printed
    return OUT_OF_MEMORY if isinstance(error, MemoryError) else 1


def _end(code: int) -> int:
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException:
        return code or 120  # as python does when its last words cannot be written
    return code
