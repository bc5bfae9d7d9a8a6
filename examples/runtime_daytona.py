"""A command in an image, run in a machine at Daytona that is there for this one workload.

    DAYTONA_API_KEY=... python examples/runtime_daytona.py

Without a key it says what is missing. An image needs `python3`, and the container a command.
"""

import asyncio

from codin.errors import RuntimeUnavailable
from codin.runtime import Container
from codin.runtime.daytona import DaytonaRuntime


async def main() -> None:
    work = Container("python:3.12-slim", ["python3", "--version"])
    try:
        async with DaytonaRuntime() as runtime:
            done = await runtime.run(work)
            print(done.text.strip(), "in", done.sandbox, "without", ", ".join(sorted(done.unenforced)))
    except RuntimeUnavailable as error:
        print(error)


asyncio.run(main())
