"""Code of a stranger, run by a Python inside WebAssembly: no daemon, no privileges, nothing of this machine in reach.

    python examples/sandbox_wasm.py

The first run on a machine builds that Python, which takes about a minute; `python -m codin.sandbox.wasm` does so ahead.
"""

import asyncio

from codin.sandbox import Code, Limits, Policy
from codin.sandbox.wasm import WasmSandbox


async def main() -> None:
    policy = Policy(limits=Limits(memory=128 * 1024 * 1024, time=1.0))
    async with WasmSandbox(policy) as sandbox:
        await sandbox.put("numbers.txt", b"1 2 3")
        done = await sandbox.exec(Code("print(sum(map(int, open('numbers.txt').read().split())))"))
        print("sum:", done.check().text.strip())
        for source in ("open('/etc/passwd')", "import socket; socket.socket()", "while True: pass", "x = [0] * 10**9"):
            done = await sandbox.exec(Code(source))
            print(f"{source}: {done.ended}, {done.stderr.decode().strip().rsplit(chr(10))[-1]}")


asyncio.run(main())
