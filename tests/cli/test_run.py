"""`codin run`: how it ends, what goes in and comes back, and where it runs."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codin.cli import main
from tests.cli.command import CODIN, PATIENCE, ROOT, Running, Terminal, environment, run
from tests.servers.fixtures import wasm_python as wasm_python

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
needs_wasm = pytest.mark.usefixtures("wasm_python")


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has no bubblewrap."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin")}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file of Python."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "plot.py").write_text(
        "import sys; open('plot.svg', 'w').write('<svg/>'); print(sum(map(int, sys.argv[1:])))"
    )
    return folder


def test_an_unknown_runtime_is_answered_with_those_there_are() -> None:
    done = run("run", "--on", "nope", "true")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no runtime 'nope'. Hint: one of: ")
    assert "local" in done.stderr


# -- how it ends -------------------------------------------------------------------------------------------------------


@needs_bwrap
def test_what_it_had_too_much_of_is_said() -> None:
    done = run("run", "--time", "0.5", "sleep", "60")
    assert done.returncode == 124
    assert done.stderr == "the workload took longer than 0.5 s on 'local': it was stopped; --time gives it more\n"
    done = run("run", "--memory", "32", "python3", "-c", "bytearray(10**8)")
    assert "--memory gives it more" in done.stderr
    done = run(
        "run", "python3", "-c", "import os, time\nfor n in range(60_000): os.mkdir(f'/tmp/{n}')\ntime.sleep(600)"
    )
    assert done.returncode == 137
    assert "it made more files than it may" in done.stderr
    assert "10000 are the most" in done.stderr
    assert "limits." not in done.stderr


@needs_bwrap
@pytest.mark.parametrize("command", ["kill -9 $$", "kill -15 $$", "exit 3", "exit 5", "no-such-program"])
def test_it_ends_as_a_shell_has_it(command: str) -> None:
    done = run("run", "sh", "-c", command)
    shell = subprocess.run(["sh", "-c", f"sh -c '{command}'; exit $?"], check=False, capture_output=True)
    assert done.returncode == shell.returncode
    assert "--" not in done.stderr


@needs_bwrap
def test_a_signal_is_named() -> None:
    done = run("run", "sh", "-c", "echo before; kill -15 $$")
    assert (done.returncode, done.stdout, done.stderr) == (143, "before\n", "it was ended by SIGTERM\n")


@contextmanager
def inherited(number: signal.Signals, how: signal.Handlers) -> Generator[None]:
    """What a command that is begun meanwhile does at a signal, whatever the one who runs the tests does."""
    before = signal.signal(number, how)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    temporary, held = tmp_path / "tmp", tmp_path / "held"
    temporary.mkdir()
    os.mkfifo(held)
    holder = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    script = f"echo x > f; (echo begun; exec sleep 600) 3> {held} & wait"
    with (
        os.fdopen(holder, "rb", buffering=0),
        inherited(number, signal.SIG_DFL),
        Running(
            "run", "--sandbox", "off", "--time", "500", "sh", "-c", script, env={"TMPDIR": str(temporary)}
        ) as running,
    ):
        running.expect("begun\n")
        assert len(list(temporary.iterdir())) == 1
        running.interrupt(number)
        assert running.wait() == 128 + number
        assert list(temporary.iterdir()) == []
        assert select.select([holder], [], [], PATIENCE)[0]  # nobody holds the other end any more
        assert os.read(holder, 1) == b""


def test_a_hangup_is_not_for_what_was_begun_by_nohup() -> None:
    source, sink = os.pipe()
    with (
        os.fdopen(sink, "wb", buffering=0) as typing,
        inherited(signal.SIGHUP, signal.SIG_IGN),
        Running("run", "--sandbox", "off", "sh", "-c", "echo begun; cat", stdin=source) as cat,
    ):
        os.close(source)
        cat.expect("begun\n")
        cat.interrupt(signal.SIGHUP)
        typing.write(b"on\n")
        cat.expect("on\n")
        typing.close()
        assert cat.wait() == 0


@needs_bwrap
@pytest.mark.parametrize("sandbox", ["required", "off"])
@pytest.mark.parametrize("unread", [["stdout"], ["stderr"], ["stdout", "stderr"]])
def test_it_is_ended_when_nobody_reads_what_it_writes(tmp_path: Path, sandbox: str, unread: list[str]) -> None:
    temporary, place = tmp_path / "tmp", tmp_path / "place"
    temporary.mkdir()
    place.mkdir()
    source, sink = os.pipe()
    os.close(source)
    with os.fdopen(sink, "wb", buffering=0) as closed, Path(os.devnull).open("wb") as nothing:
        script = f"echo x > f; echo x {'' if 'stdout' in unread else '>&2'}; exec sleep 600"
        done = subprocess.Popen(
            [*CODIN, "run", "--sandbox", sandbox, "--time", "500", "--get", "f", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=closed if "stdout" in unread else nothing,
            stderr=closed if "stderr" in unread else subprocess.PIPE,
            env=environment({"TMPDIR": str(temporary)}),
            cwd=place,
        )
        said = done.communicate(timeout=PATIENCE)[1]
    assert done.returncode == 128 + signal.SIGPIPE  # as a shell has it
    assert said in {None, b"it was ended: nobody reads what it writes; --get takes nothing\n"}
    assert [*temporary.iterdir(), *place.iterdir()] == []


def test_without_any_output() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *CODIN, "run", "--sandbox", "off", "sh", "-c", "echo x; exit 3"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 3
    assert b"error" not in done.stderr


# -- what goes in and comes out ----------------------------------------------------------------------------------------


@needs_bwrap
def test_all_that_it_writes_arrives() -> None:
    done = run("run", "head", "-c", "5000000", "/dev/zero")
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 5_000_000, "")


@needs_bwrap
@pytest.mark.parametrize(
    ("size", "code", "said"), [("5000", 1, "its stdout ends here"), ("-0", 137, "it wrote too much")]
)
def test_output_that_does_not_all_arrive_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], size: str, code: int, said: str
) -> None:
    monkeypatch.setattr("codin.cli._run._MOST", 1000)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert main(["run", "head", "-c", size, "/dev/zero"]) == code
    out, err = capfdbinary.readouterr()
    assert len(out) == 1000
    assert said in err.decode()
    assert "take that by --get" in err.decode()


@needs_bwrap
def test_input_that_is_too_long_is_refused_and_not_cut() -> None:
    with tempfile.TemporaryFile() as much:
        much.truncate((64 << 20) + 1)
        done = subprocess.run([*CODIN, "run", "wc", "-c"], cwd=ROOT, stdin=much, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"64 MiB" in done.stderr
    assert b"--put" in done.stderr


@needs_bwrap
@pytest.mark.parametrize("sandbox", ["required", "off"])
def test_input_goes_in_as_it_comes(sandbox: str) -> None:
    source, sink = os.pipe()
    with os.fdopen(sink, "wb", buffering=0) as typing, Running("run", "--sandbox", sandbox, "cat", stdin=source) as cat:
        os.close(source)
        for word in ("one", "two"):
            typing.write(f"{word}\n".encode())
            cat.expect(f"{word}\n")
        typing.close()
        assert cat.wait() == 0


@needs_bwrap
def test_nobody_waits_for_input_that_is_not_read() -> None:
    source, sink = os.pipe()
    with os.fdopen(sink, "wb"), Running("run", "echo", "done", stdin=source) as echo:
        os.close(source)
        echo.expect("done\n")
        assert echo.wait() == 0


@needs_bwrap
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_file_goes_in_whole(size: int) -> None:
    with tempfile.TemporaryFile() as given:
        given.write(b"x" * size)
        given.seek(0)
        done = subprocess.run([*CODIN, "run", "wc", "-c"], cwd=ROOT, stdin=given, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(size).encode())


@needs_bwrap
def test_without_any_input() -> None:
    without = ["sh", "-c", 'exec "$@" <&-', "sh", *CODIN]
    done = subprocess.run([*without, "run", "cat"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_bwrap
def test_one_types_at_a_terminal() -> None:
    with Terminal("run", "sh", "-c", 'echo "who?"; read name; echo "hello, $name"; cat') as terminal:
        terminal.expect("who?")
        terminal.type("Ada\n")
        terminal.expect("hello, Ada")
        terminal.type("\x04")
        assert terminal.wait() == 0


@needs_wasm
def test_python_without_bubblewrap_reads_what_comes_out_of_a_pipe(bare: dict[str, str]) -> None:
    done = run("run", "python3", "-c", "print(input() + '!')", stdin="hello\n", env=bare)
    assert (done.returncode, done.stdout) == (0, "hello!\n")


@needs_bwrap
def test_files_are_taken_over_none_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    done = run("run", "--get", "*.txt", "--get", "*.png", "sh", "-c", "echo yours > a.txt", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "a.txt").read_text()) == (1, "mine")
    assert (tmp_path / "a-2.txt").read_text() == "yours\n"
    assert done.stderr.splitlines() == ["a-2.txt: 6 bytes", "it has left no *.png in its working folder"]


@needs_bwrap
@pytest.mark.parametrize("sandbox", ["required", "off"])
@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("exec sleep 600", 124)])
def test_files_are_taken_of_a_command_that_fails(tmp_path: Path, sandbox: str, end: str, code: int) -> None:
    script = f"mkdir sub; echo why > sub/report.xml; {end}"
    words = ["--sandbox", sandbox, "--time", "2", "--to", "out", "--get", "*.xml", "--get", "*.png"]
    done = run("run", *words, "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, (tmp_path / "out/sub/report.xml").read_text()) == (code, "why\n")
    assert "out/sub/report.xml: 4 bytes\n" in done.stderr
    assert "it has left no *.png in its working folder\n" in done.stderr


@pytest.mark.parametrize("to", ["plain/sub", "plain", "/proc/1/sub", "/proc/1"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path, to: str) -> None:
    (tmp_path / "plain").write_text("no folder")
    script = f"echo x > f; echo x > {tmp_path}/ran"
    done = run("run", "--sandbox", "off", "--get", "f", "--to", to, "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Invalid value for '--to': ")
    assert to in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_file_that_cannot_be_saved_keeps_no_other_from_it(tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("no folder")
    script = "mkdir sub; echo a > a; echo b > sub/b; echo c > sub/c; echo d > d"
    done = run("run", "--sandbox", "off", "--get", "*", "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == 1
    assert ((tmp_path / "a").read_text(), (tmp_path / "d").read_text()) == ("a\n", "d\n")
    said = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert said[:4] == ["a", "d", "sub/b cannot be saved", "sub/c cannot be saved"]


def test_files_are_taken_whether_or_not_anybody_reads_of_it(tmp_path: Path) -> None:
    source, sink = os.pipe()
    os.close(source)
    with os.fdopen(sink, "wb", buffering=0) as unread:
        command = [*CODIN, "run", "--sandbox", "off", "--get", "*", "sh", "-c", "echo a > a; echo d > d"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), stderr=unread, check=False)
    assert done.returncode != 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "d"]


@needs_bwrap
@pytest.mark.parametrize("sandbox", ["required", "off"])
def test_its_folder_is_a_new_one_with_what_is_put_there(tmp_path: Path, sandbox: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    done = run("run", "--sandbox", sandbox, "--put", "a.txt", "ls", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "a.txt\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--put", "a/x.txt", "--put", "b/x.txt", "cat", "x.txt"], "x.txt"), (["--put", "a/x.py", "x.py"], "x.py")],
)
def test_two_files_of_one_name_are_refused(tmp_path: Path, words: list[str], named: str) -> None:
    for path in ("a/x.txt", "b/x.txt", "a/x.py", "x.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"print({path!r})")
    done = run("run", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"would both be {named}" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_bwrap
def test_one_file_that_is_named_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("print('once')")
    assert run("run", "--put", "x.py", "--put", "./x.py", "x.py", cwd=tmp_path).stdout == "once\n"


# -- without bubblewrap ------------------------------------------------------------------------------------------------


@needs_wasm
@pytest.mark.parametrize("sandbox", ["required", "preferred"])
@pytest.mark.parametrize("command", [["plot.py", "1", "2"], ["python3", "-u", "-", "1", "2"]])
def test_python_runs_where_there_is_no_bubblewrap(
    place: Path, bare: dict[str, str], sandbox: str, command: list[str]
) -> None:
    code = (place / "plot.py").read_text()
    done = run("run", "--sandbox", sandbox, "--get", "*.svg", *command, stdin=code, env=bare, cwd=place)
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert done.stderr == "plot.svg: 6 bytes\n"


def test_python_that_needs_the_network_does_not_run_where_there_is_none(place: Path, bare: dict[str, str]) -> None:
    refused = run("run", "--on", "local", "--network", "plot.py", env=bare, cwd=place)
    assert refused.returncode == 5
    assert "a sandbox of kind 'wasm' has no network" in refused.stderr
    (Path(bare["PATH"]) / "python3").symlink_to(sys.executable)
    done = run("run", "--network", "--sandbox", "preferred", "plot.py", "5", env=bare, cwd=place)
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.startswith("not kept by host: ")


@needs_wasm
def test_what_its_python_has_not_is_explained(place: Path, bare: dict[str, str]) -> None:
    (place / "plot.py").write_text("import numpy")
    done = run("run", "plot.py", env=bare, cwd=place)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "'wasm'" in last
    assert "bubblewrap" in last


@pytest.mark.parametrize("command", [["ls"], ["python3", "-X", "dev", "plot.py"], ["./python3", "plot.py"]])
def test_what_no_sandbox_can_hold_says_what_to_do(place: Path, bare: dict[str, str], command: list[str]) -> None:
    done = run("run", "--on", "local", *command, env=bare, cwd=place)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.count("\n") == 1
    assert "there is no `bwrap`" in done.stderr
    assert "a sandbox of kind 'wasm' runs " in done.stderr
    assert "Hint: install it (`apt install bubblewrap`" in done.stderr


# -- as a user whose sandbox cannot keep everything --------------------------------------------------------------------


class Somebody:
    """A user who is not root, and has no control groups."""

    def __init__(self, home: Path) -> None:
        self.home = home
        packages = [path for path in sys.path if path.endswith("-packages")]
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), *packages]),
            "XDG_CACHE_HOME": str(home / "cache"),
            "HOME": str(home),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["/usr/bin/python3", "-B", "-m", "codin.cli", "run", *words],
            env=self._env,
            stdin=subprocess.DEVNULL,
            user=65534,
            group=65534,
            extra_groups=[],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "No module named 'codin'" in done.stderr or "No module named 'click'" in done.stderr:
            pytest.skip("nobody else may read the checkout, or the packages")
        return done


@pytest.fixture
def somebody(wasm_python: None) -> Iterator[Somebody]:
    from codin.sandbox._wasm._build import found

    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    python = Path("/usr/bin/python3")
    asked = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout if python.exists() else ""
    if not asked.startswith("Python {}.{}.".format(*sys.version_info)):
        pytest.skip("needs an interpreter of this version that everybody may run")
    interpreter = found()
    assert interpreter is not None
    with tempfile.TemporaryDirectory(prefix="codin-home-") as name:
        home = Path(name)
        cache = home / "cache" / "codin" / "wasm"
        cache.mkdir(parents=True)
        for file in (interpreter, interpreter.with_suffix(".sha256")):
            shutil.copy(file, cache)
        (home / "plot.py").write_text("print(6 * 7)")
        cache.chmod(0o700)
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)
        yield Somebody(home)


@needs_bwrap
def test_somebody_without_control_groups(somebody: Somebody) -> None:
    refused = somebody.run("--on", "local", "ls", "/")
    if refused.returncode == 0:
        pytest.skip("this user has control groups")
    assert refused.returncode == 5
    assert refused.stderr.count("\n") == 1
    assert "cannot keep memory here" in refused.stderr
    assert "Hint: --without memory runs it all the same" in refused.stderr
    done = somebody.run("plot.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
    done = somebody.run("--without", "memory", "sh", "-c", "test ! -e /home && echo held")
    assert (done.returncode, done.stdout) == (0, "held\n")
    assert done.stderr == "not kept by local: memory\n"
    failed = somebody.run("--without", "memory", "sh", "-c", "exit 4")
    assert (failed.returncode, failed.stderr) == (4, "not kept by local: memory\n")


def test_what_need_not_hold_is_of_this_machine() -> None:
    done = run("run", "--on", "docker", "--without", "memory", "true")
    assert done.returncode == 2
    assert "--without" in done.stderr
    done = run("run", "--without", "memroy", "true")
    assert done.returncode == 2
    assert "'memroy'" in done.stderr


def test_who_waits_for_the_interpreter_is_told(place: Path, bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "componentize_py.py").write_text("raise ImportError")  # so that it takes no minute
    env = {**bare, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = run("run", "--on", "local", "plot.py", env=env, cwd=place)
    assert done.returncode == 5
    building, refused = done.stderr.splitlines()
    assert building.startswith("building the Python of wasm sandboxes, about a minute and once only: ")
    assert "componentize-py is not installed" in refused
