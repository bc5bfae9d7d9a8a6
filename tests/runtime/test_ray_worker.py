"""What a Ray worker keeps of the jobs that it did, one after the other; no cluster is needed to see that."""

from __future__ import annotations

import subprocess
import sys

WORKER = """
import os, sys
from codin.runtime._job import Call
from codin.runtime._ray.desk import at_desk
from codin.runtime._ray.wire import RayJob, frames_of, outcome_of

def begun(function, source):
    call = Call("module", {"target": f"part:{function}", "args": [], "kwargs": {}, "init": {}, "method": ""})
    return at_desk(RayJob(call=call, library=source), {"part.py": source.encode()})

def value(job):
    try:
        while True:
            next(job)
    except StopIteration as ended:
        return frames_of(ended.value)[-1][0]["value"]
"""


def said_by_worker(jobs: str) -> list[str]:
    """The lines that a worker's process prints."""
    done = subprocess.run([sys.executable, "-c", WORKER + jobs], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_two_versions_of_a_package_by_turns_are_laid_out_once_each() -> None:
    jobs = """
version = "def which(): return {}".format
print([value(begun("which", version(turn % 2))) for turn in range(6)])
print(len([place for place in sys.path if "codin-ray-" in place]))
"""
    assert said_by_worker(jobs) == ["[0, 1, 0, 1, 0, 1]", "2"]


def test_an_async_generator_that_is_left_early_is_closed_and_leaves_nothing_open() -> None:
    jobs = """
closed = sys.closed = []
source = "import sys\\nasync def count():\\n try: yield 1\\n finally: sys.closed.append(1)"

def leave():
    job = begun("count", source)
    next(job)
    job.close()

leave()  # a worker's first job opens what stays for all
before = os.listdir("/proc/self/fd")
for _ in range(5):
    leave()
print(os.listdir("/proc/self/fd") == before, len(closed))
"""
    assert said_by_worker(jobs) == ["True 6"]


def test_a_job_that_ends_itself_with_words_says_them() -> None:
    jobs = """
def ending(job):
    try:
        while True:
            next(job)
    except StopIteration as ended:
        return frames_of(ended.value)

*said, ended = ending(begun("leave", "def leave(): raise SystemExit('no more')"))
outcome = outcome_of(*ended)
print(said, outcome.exit_code, outcome.error)
"""
    assert said_by_worker(jobs) == ["[({'output': 'stderr'}, b'no more\\n')] 1 the program ended itself: no more"]


def test_a_function_that_ends_its_program_well_has_failed_all_the_same() -> None:
    jobs = """
import cloudpickle

def leave():
    raise SystemExit(0)

told = {"python": sys.version_info[:2]}
job = at_desk(RayJob(call=Call("function", told, cloudpickle.dumps((leave, (), {})))), {})
try:
    while True:
        next(job)
except StopIteration as ended:
    outcome = outcome_of(*frames_of(ended.value)[-1])
print(outcome.exit_code, outcome.error)
"""
    assert said_by_worker(jobs) == ["1 the program ended itself: exit code 0"]
