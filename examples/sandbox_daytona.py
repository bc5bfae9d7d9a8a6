"""Commands of a stranger in a machine of the size that the policy says, rented from Daytona for as long as this runs.

    DAYTONA_API_KEY=... python examples/sandbox_daytona.py

Without a key it says what is missing. Sizes are whole cores and GiB, and kept where the machine is made of an image.
"""

import asyncio

from codin.errors import SandboxUnavailable
from codin.sandbox import Limits, Policy
from codin.sandbox.daytona import DaytonaSandbox

GIB = 1024**3


async def main() -> None:
    limits = Limits(cpu=1, memory=GIB, disk=3 * GIB)
    policy = Policy(limits=limits, demands=Policy().demands - {"syscalls"})
    try:
        async with DaytonaSandbox(policy, image="python:3.12-slim") as sandbox:
            await sandbox.put("numbers.txt", b"3\n1\n2\n")
            print("sorted:", (await sandbox.exec(["sort", "numbers.txt"])).check().text.split())
            print("not kept:", ", ".join(sorted(sandbox.unenforced)))
    except SandboxUnavailable as error:
        print(error)


asyncio.run(main())
