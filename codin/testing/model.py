"""The local model as a process: `python -m codin.testing.model [--port 0] [--extractive]`.

It prints where it is, in the form in which shells and the clients of models take it, and answers until it is stopped:

    OPENAI_BASE_URL=http://127.0.0.1:40713/v1
    OPENAI_API_KEY=x
    GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:40713
    GOOGLE_API_KEY=x
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from codin.testing._answers import by_last_message
from codin.testing._extractive import extractive
from codin.testing._model_server import ModelServer

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m codin.testing.model", description="A model on a local port.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument(
        "--extractive", action="store_true", help="answer with sentences of the text that is given, word for word"
    )
    options = parser.parse_args(arguments)
    model = ModelServer(extractive if options.extractive else by_last_message, options.port)
    try:
        asyncio.run(_serve(model))
    except OSError as error:
        parser.exit(1, f"error: port {options.port} cannot be used: {error.strerror}\n")


async def _serve(model: ModelServer) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with model.running():
        openai = f"OPENAI_BASE_URL={model.url}\nOPENAI_API_KEY=x\n"
        sys.stdout.write(f"{openai}GOOGLE_GEMINI_BASE_URL={model.gemini_url}\nGOOGLE_API_KEY=x\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
