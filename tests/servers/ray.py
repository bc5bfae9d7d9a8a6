"""A real Ray cluster for the tests: a head and further nodes as processes of this machine, on 127.0.0.1 alone.

As a program it is the process that owns the nodes, and takes commands on a socket; it ends them with its last user.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

_PREFIX = "cray"  # short, since sockets are below it
_EVERY = {"node_ip_address": "127.0.0.1", "object_store_memory": 100 * 1024 * 1024}
_SUBREAPER = 36
_IN_A_HURRY = -15
# What Ray would otherwise ask of the network, of a browser or of a quiet machine.
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else 127.0.0.1 is taken for the address of the network card
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "10",
    "RAY_enable_metrics_collection": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


def why_not() -> str | None:
    """Why no cluster can be started here, and what to do; None when one can."""
    if sys.platform != "linux":
        return "the tests' own Ray cluster needs Linux"
    return None if find_spec("ray") is not None else "Ray is not installed: pip install 'codin[ray]'"


class RayCluster:
    """A user of a cluster: the first starts it, and with the last it goes, however that one ends.

    Args:
        place: the folder by which the processes of one run of tests find each other's cluster; a cluster of its own
            when not given.
    """

    def __init__(self, place: Path | None = None) -> None:
        self.address = ""
        self._place = place
        self._owner: socket.socket | None = None
        self._answers: IO[str] | None = None

    def start(self) -> None:
        """Start it, or join it, and wait until it answers."""
        if self._place is None:
            self._owner = _new_owner()
        else:
            with (self._place / "ray.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._owner = _owner_of(self._place / "ray.at")
        self._answers = self._owner.makefile("r")
        self.address = self._ask({"do": "head"})

    def add_node(self, resource: str) -> str:
        """Add a node that alone has a resource; gives its id."""
        return self._ask({"do": "add", "resource": resource})

    def remove_node(self, node: str) -> None:
        """Take a node out without a word to it, as a power cut does."""
        self._ask({"do": "remove", "node": node})

    def kill_gcs(self) -> None:
        """End the process that knows all nodes."""
        self._ask({"do": "kill"})

    def stop(self) -> None:
        """Leave it. The last to do so waits until nothing of it is left."""
        if self._owner is not None and self._answers is not None:
            self._owner.shutdown(socket.SHUT_WR)
            self._answers.read()
            self._answers.close()
            self._owner.close()

    def _ask(self, command: dict[str, Any]) -> str:
        assert self._owner is not None
        assert self._answers is not None
        self._owner.sendall(json.dumps(command).encode() + b"\n")
        told = json.loads(self._answers.readline() or '{"error": "it is gone"}')
        if "error" in told:
            raise RuntimeError(f"the Ray cluster: {told['error']}")
        return told["is"]


def _owner_of(at: Path) -> socket.socket:
    """The owner that listens at the socket a file names, or a new one."""
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(at.read_text())
    except OSError:
        there.close()
    else:
        return there
    owner = _new_owner()
    at.write_text(owner.getpeername())
    return owner


def _new_owner() -> socket.socket:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    (folder / "ray").mkdir()  # where Ray notes which cluster is the last
    with socket.socket(socket.AF_UNIX) as listener, (folder / "log").open("ab") as log:
        listener.bind(str(folder / "owner"))
        listener.listen()
        us = socket.socket(socket.AF_UNIX)
        us.connect(str(folder / "owner"))
        subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.servers.ray", str(folder), str(listener.fileno())],
            env={
                **os.environ,
                **ENVIRONMENT,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "RAY_TMPDIR": str(folder),
                "TMPDIR": str(folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        ).returncode = 0  # it outlives us when others use it
    return us


def _below(process: int) -> Iterator[int]:
    """All that a process has started, and what those have, the deepest first."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _below(int(child))
                yield int(child)


def _end_all() -> None:
    """End everything below this process, which inherits what its children leave."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (left := list(_below(os.getpid()))):
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _hurry(niceness: int) -> None:
    """Put this session before others, if it may: Ray gives the agents of a node 15 s to begin."""
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def _ports() -> dict[str, int]:
    """Ports of a node's agents: those that it picks itself it waits for, and on a busy machine not for long enough."""
    wanted = ("metrics_agent_port", "runtime_env_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
    held = [socket.create_server(("127.0.0.1", 0)) for _ in wanted]
    ports = {name: at.getsockname()[1] for name, at in zip(wanted, held, strict=True)}
    for at in held:
        at.close()
    return ports


class _Owner:
    """Owns the nodes, and does as its users say until the last has left."""

    def __init__(self, folder: str) -> None:
        from ray.cluster_utils import Cluster

        self._folder = folder
        self._cluster: Any = Cluster()
        self._nodes: dict[str, Any] = {}

    def serve(self, listener: socket.socket) -> None:
        """Answer, one after the other."""
        with selectors.DefaultSelector() as users:
            users.register(listener, selectors.EVENT_READ)
            while True:
                for key, _ in users.select():
                    if key.fileobj is listener:
                        users.register(listener.accept()[0], selectors.EVENT_READ)
                        continue
                    user = key.fileobj
                    assert isinstance(user, socket.socket)
                    if asked := user.recv(4096):
                        user.sendall(json.dumps(self._answer(json.loads(asked))).encode() + b"\n")
                        continue
                    users.unregister(user)
                    if len(users.get_map()) == 1:
                        listener.close()
                        _end_all()
                        shutil.rmtree(self._folder, ignore_errors=True)
                        return  # with this the last user's connection ends

    def _answer(self, asked: dict[str, Any]) -> dict[str, str]:
        _hurry(_IN_A_HURRY)
        try:
            return {"is": getattr(self, f"_{asked.pop('do')}")(**asked)}
        except Exception as error:
            return {"error": f"{error}; see the logs below {self._folder}"}
        finally:
            _hurry(0)

    def _head(self) -> str:
        if self._cluster.head_node is None:
            ports = {"dashboard_host": "127.0.0.1", "dashboard_port": 0, **_ports()}
            self._cluster.add_node(num_cpus=3, temp_dir=self._folder, include_dashboard=False, **ports, **_EVERY)
        return self._cluster.address

    def _add(self, resource: str) -> str:
        node = self._cluster.add_node(num_cpus=1, resources={resource: 10}, **_EVERY, **_ports())
        self._nodes[node.node_id] = node
        return node.node_id

    def _remove(self, node: str) -> str:
        self._cluster.remove_node(self._nodes.pop(node), allow_graceful=False)
        return ""

    def _kill(self) -> str:
        self._cluster.head_node.kill_gcs_server()
        return ""


def _main() -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    listener = socket.socket(fileno=int(sys.argv[2]))
    try:
        _Owner(sys.argv[1]).serve(listener)
    except Exception:
        traceback.print_exc()
        _end_all()
        shutil.rmtree(sys.argv[1], ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    _main()
