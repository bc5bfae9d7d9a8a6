"""Child process: one side's app under uvicorn, with the same settings for every side.

`python -m benchmarks.rig.serve MODULE AGENT PORT [STORE]`
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    module, agent, port, *rest = sys.argv[1:]
    app = importlib.import_module(module).build(agent, rest[0] if rest else None, int(port))
    import uvicorn

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        backlog=8192,
        timeout_keep_alive=120,
    )


if __name__ == "__main__":
    main()
