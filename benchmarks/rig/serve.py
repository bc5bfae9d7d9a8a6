"""Child process: one side under uvicorn: by its own way to serve where it has one (codin), else by `uvicorn.run`.

`python -m benchmarks.rig.serve MODULE AGENT PORT [STORE]`
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    module, agent, port, *rest = sys.argv[1:]
    side = importlib.import_module(module)
    store = rest[0] if rest else None
    if hasattr(side, "serve"):
        side.serve(agent, store, int(port))
        return
    app = side.build(agent, store, int(port))
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
