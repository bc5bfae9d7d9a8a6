"""`codin logs`, and the files behind it."""

from __future__ import annotations

import re
from pathlib import Path

from codin.cli.workspace._log import LogFile
from tests.cli.command import Running, run
from tests.cli.workspace.conftest import Place

TALK = """
print("hello from", __file__.split("/")[-2])

def talk(text: str) -> str:
    print(text)
    return text
"""


def test_what_agents_say_is_kept_and_followed(place: Place) -> None:
    place.agent("anna", TALK)
    place.agent("bert", TALK)
    place.up()
    lines = run("logs", "anna", "bert", cwd=place.folder).stdout.splitlines()
    assert re.fullmatch(r"anna  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z hello from anna", lines[0]) or (
        "hello from bert" in lines[0]
    )
    times = [line.split()[1] for line in lines]
    assert times == sorted(times)
    assert run("logs", "bert", "-n", "1", cwd=place.folder).stdout.count("\n") == 1
    assert run("logs", "bert", "-n", "0", cwd=place.folder).stdout == ""
    with Running("logs", "bert", "-f", "-n", "1", cwd=place.folder) as logs:
        logs.expect(r"talk serves A2A at \S+\n")  # from here on it follows
        place.call("anna", "not for you")
        place.call("bert", "over here")
        assert logs.expect(r"(.*)\n")[1].endswith("Z over here")
        run("down", cwd=place.folder)
        assert logs.wait() == 0
    assert "over here" in run("logs", cwd=place.folder).stdout  # they stay


def test_raw_lines_are_as_the_agents_wrote_them(place: Place) -> None:
    place.agent("anna", TALK)
    place.up()
    log = LogFile(place.folder / ".codin" / "logs" / "anna.log")
    log.write(b'{"n": 1}\n')
    log.say("left alone")
    log.close()
    lines = run("logs", "--raw", cwd=place.folder).stdout.splitlines()
    assert "hello from anna" in lines
    assert '{"n": 1}' in lines
    assert run("logs", "--raw", "-n", "1", cwd=place.folder).stdout == '{"n": 1}\n'  # nothing of the supervisor's
    with Running("logs", "--raw", "-f", "-n", "1", cwd=place.folder) as logs:
        logs.expect('{"n": 1}\n')  # from here on it follows
        place.call("anna", "  spaces  and all")
        assert logs.expect(r"(.*)\n")[1] == "  spaces  and all"


def test_the_environment_sets_the_level_of_the_agents(place: Place) -> None:
    place.agent(
        "anna", "import logging\nlogging.getLogger('x').info('quiet')\nlogging.getLogger('x').error('loud')\n" + TALK
    )
    place.up(env={"CODIN_LOG_LEVEL": "info"})
    assert "quiet" in place.log("anna")
    run("down", str(place.folder))


def test_nobody_has_said_anything(place: Place) -> None:
    place.agent("anna", TALK)
    done = run("logs", "anna", cwd=place.folder)
    assert done.returncode == 2
    assert "no log of 'anna'; nothing has been up here yet" in done.stderr
    done = run("logs", cwd=place.folder)
    assert (done.returncode, done.stderr) == (0, f"nothing has been up in {place.folder} yet\n")
    assert not (place.folder / ".codin").exists()  # who only looks makes nothing


def test_a_log_has_a_bound(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", limit=1000, kept=2)
    for number in range(100):
        log.write(b"line %d\n" % number)
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["a.log", "a.log.1", "a.log.2"]
    assert all((tmp_path / name).stat().st_size <= 1000 for name in files)
    kept = "".join((tmp_path / name).read_text() for name in reversed(files)).splitlines()
    numbers = [int(line.split()[-1]) for line in kept]
    assert numbers == list(range(numbers[0], 100))


def test_lines_are_whole_and_without_secrets(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    log.secrets = {"KEY": "sk-hidden", "PIN": "1"}
    log.write(b"the key is sk-")
    log.write(b"hidden, the pin 1\nand \xff")
    log.write(b"x" * 200_000)
    log.close()
    first, second, *rest = (tmp_path / "a.log").read_text().splitlines()
    assert first.endswith("Z the key is [KEY], the pin 1")  # what is too short would turn up by chance
    assert second.partition(" ")[2].startswith("and \ufffdxxx")
    assert sum(line.count("x") for line in [second, *rest]) == 200_000
    assert max(map(len, [second, *rest])) < 70_000
