"""A workspace from nothing: two agents, processes of their own, one of which is killed and comes back.

python examples/workspace.py
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any


def codin(*words: str, cwd: str) -> str:
    """The command, as it is typed. Gives what it prints."""
    command = [sys.executable, "-m", "codin.cli", *words]
    env = {**os.environ, "CODIN_KEYS": f"{cwd}/keys"}  # instead of a key for good, in your home
    return subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True).stdout


def processes(folder: str) -> dict[str, Any]:
    """What `codin ps` shows, by name."""
    return {row["name"]: row for row in json.loads(codin("ps", "--json", cwd=folder))["processes"]}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("hello", "goodbye"):
            print(codin("new", "agent", name, cwd=folder).splitlines()[3])
        codin("up", "--detach", cwd=folder)
        try:
            before = processes(folder)["hello"]
            print(codin("call", before["url"], "good morning", cwd=folder).strip())
            os.kill(before["pid"], signal.SIGKILL)
            while (now := processes(folder)["hello"])["state"] != "ready" or not now["restarts"]:
                continue
            print("started again at the same address:", now["url"] == before["url"])
            print(codin("call", now["url"], "good evening", cwd=folder).strip())
        finally:
            codin("down", cwd=folder)


if __name__ == "__main__":
    main()
