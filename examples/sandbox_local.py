"""Commands of a stranger in a room of their own on this machine: bubblewrap, seccomp and control groups.

    python examples/sandbox_local.py

It needs Linux with bubblewrap (`apt install bubblewrap`). Who is not root, and has no control groups of systemd's, is
told so: memory is then watched, and not bounded by the kernel.
"""

import asyncio

from codin.errors import PolicyNotEnforced
from codin.sandbox import Code, Limits, Policy
from codin.sandbox.local import LocalSandbox


async def main() -> None:
    policy = Policy(limits=Limits(memory=256 * 1024 * 1024, time=5.0))
    try:
        await LocalSandbox(policy).check()
    except PolicyNotEnforced as refused:
        print(refused)
        policy = Policy(limits=policy.limits, demands=policy.demands - refused.missing)
    async with LocalSandbox(policy) as sandbox:
        await sandbox.put("numbers.txt", b"3\n1\n2\n")
        print("sorted:", (await sandbox.exec(["sort", "numbers.txt"])).check().text.split())
        for source in (
            "open('/etc/shadow')",
            "import socket; socket.create_connection(('127.0.0.1', 22))",
            "import os, time\nwhile os.fork(): pass\ntime.sleep(60)",
            "kept = []\nwhile True: kept.append(bytearray(10**7))",
            "while True: pass",
        ):
            done = await sandbox.exec(Code(source))
            print(f"{source!r}: {done.ended}, {done.stderr.decode().strip().rsplit(chr(10), 1)[-1]}")


if __name__ == "__main__":
    asyncio.run(main())
