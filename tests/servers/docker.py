"""A real Docker daemon for the tests: in namespaces of its own, with its data in a folder that goes with it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVERS = Path(os.environ.get("CODIN_SERVERS") or Path.home() / ".cache" / "codin-servers")
_PREFIX = "codin-docker-"
_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE = 60.0


def why_not() -> str | None:
    """Why no daemon can be started here, and what to do; None when one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Docker daemon of the tests' own needs root on Linux"
    if not (SERVERS / "usr/sbin/dockerd").exists():
        return f"no Docker below {SERVERS}: python tests/servers/unpack.py {SERVERS}, and set CODIN_SERVERS to it"
    return None


class DockerDaemon:
    """Start it, kill it, start it again; `stop` leaves nothing of it, its containers and its images.

    It is the child of an init that has process, mount and network namespaces of its own. The kernel kills that one when
    whoever started it dies, and with it everything else in there.
    """

    def __init__(self) -> None:
        _sweep()
        # A socket's path is short by law, and layers need a real disk.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "docker.sock"
        self._init: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        runsc = {"path": str(SERVERS / "usr/bin/runsc"), "runtimeArgs": ["--platform=ptrace", "--network=none"]}
        settings = self.folder / "daemon.json"
        settings.write_text(json.dumps({"runtimes": {"runsc": runsc}}))
        own = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        init = ["--mount-proc", str(SERVERS / "usr/bin/tini-static"), "--"]
        daemon = ["dockerd", "--config-file", str(settings), "--host", self.host]
        places = ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        rest = ["--pidfile", str(self.folder / "pid"), "--cgroup-parent", f"/{self.folder.name}"]
        kind = ["--storage-driver=overlay2", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        path = f"{SERVERS}/usr/sbin:{SERVERS}/usr/bin:{os.environ['PATH']}"
        for stale in ("docker.sock", "pid"):
            (self.folder / stale).unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._init = subprocess.Popen(
                [*own, *init, *daemon, *places, *rest, *kind],
                env={"PATH": path, "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers(self._init)

    def kill(self) -> None:
        """End it at once, and with it everything it runs: what a power cut is to it."""
        if self._init is None:
            return
        # The first process of a namespace has ended when all others have.
        firsts = [os.pidfd_open(process) for process in _children(self._init.pid)]
        self._init.kill()
        self._init.wait()
        self._init = None
        for first in firsts:
            select.select([first], [], [], _PATIENCE)
            os.close(first)

    def stop(self) -> None:
        self.kill()
        _remove(self.folder)

    def _wait_until_it_answers(self, init: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and init.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self.socket))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                if b"200 OK" in asking.recv(4096):
                    return
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"the Docker daemon does not answer:\n{log}")


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in listed.split()]


def _sweep() -> None:
    """Take away what the daemons of tests that were killed have left."""
    for folder in Path("/var/tmp").glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{folder.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for top in [*_CGROUPS.glob(f"*/{folder.name}"), *_CGROUPS.glob(folder.name)]:
        for group, _, _ in os.walk(top, topdown=False):  # another process may be sweeping just now
            _remove_group(Path(group))


def _remove_group(group: Path) -> None:
    # Its last process may still be on its way out.
    deadline = time.monotonic() + 5
    while group.is_dir() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.01)
