"""Commands of a stranger in a container without a network, a privilege or a file of this machine.

    python examples/sandbox_docker.py

Needs a Docker daemon that this user may use, and no registry: the container's image is made of this very Python.
"""

import asyncio

from codin.errors import SandboxUnavailable
from codin.sandbox import Code, Limits, Policy
from codin.sandbox.docker import DockerSandbox


async def main() -> None:
    policy = Policy(limits=Limits(memory=128 * 1024 * 1024, time=5.0))
    try:
        async with DockerSandbox(policy) as sandbox:
            await sandbox.put("numbers.txt", b"1 2 3")
            done = await sandbox.exec(["sh", "-c", "tr ' ' '\\n' < numbers.txt | sort -n | tail -1"])
            print("most:", done.check().text.strip())
            for source in ("open('/usr/planted', 'w')", "import os; os.setuid(0)", "x = b'x' * 10**9"):
                done = await sandbox.exec(Code(source))
                print(f"{source}: {done.ended}, {done.stderr.decode().strip().rsplit(chr(10))[-1]}")
    except SandboxUnavailable as missing:
        print(missing)


asyncio.run(main())
