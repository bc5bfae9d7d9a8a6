"""Code of a stranger in a machine of somebody else's, rented from E2B for as long as this runs.

    E2B_API_KEY=... python examples/sandbox_e2b.py

Without a key it says what is missing. How large the machine is, E2B's template says: a policy cannot demand it.
"""

import asyncio

from codin.errors import SandboxUnavailable
from codin.sandbox import Code, Policy
from codin.sandbox.e2b import E2BSandbox


async def main() -> None:
    policy = Policy(demands=Policy().demands - {"memory", "cpu", "disk"})
    try:
        async with E2BSandbox(policy) as sandbox:
            await sandbox.put("numbers.txt", b"1 2 3")
            done = await sandbox.exec(Code("print(sum(map(int, open('numbers.txt').read().split())))"))
            print("sum:", done.check().text.strip())
            print("not kept:", ", ".join(sorted(sandbox.unenforced)))
    except SandboxUnavailable as error:
        print(error)


asyncio.run(main())
