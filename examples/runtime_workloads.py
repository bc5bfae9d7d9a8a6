"""One of each kind of work by the one door: a function, a module, a class, a command, an endpoint and a container.

    python examples/runtime_workloads.py

An image takes a Docker daemon that has it (`docker pull busybox`); without one it is said what is missing.
"""

import asyncio

from codin.agent import agent
from codin.errors import NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.runtime import Command, Container, Endpoint, Function, LocalRuntime, Module, OmniRuntime
from codin.sandbox import Code, Limits
from codin.testing import serving

LETTER = b"Dear Ada,\nthe engine weaves.\nCharles\n"


def longest(text: str) -> str:
    return max(text.split(), key=len)


@agent
async def weaver(text: str) -> str:
    """Weaves."""
    return text


async def main() -> None:
    # An endpoint on this machine is called only because somebody says so here.
    near = LocalRuntime(guard=AddressGuard(allow_loopback=True))
    async with serving(weaver) as url, near, OmniRuntime([near, "docker", "kubernetes"]) as runtime:
        done = await runtime.run(Function(longest, [LETTER.decode()]))
        print("function:", done.value)
        done = await runtime.run(Module("statistics:fmean", [[3, 4, 8]]))
        print("module:", done.value)
        month = Module("calendar:TextCalendar", [1843, 10], init={"firstweekday": 6}, method="formatmonth")
        print("class:", (await runtime.run(month)).value.split("\n")[0].strip())
        words = Code("print(len(open('letter.txt').read().split()))")
        done = await runtime.run(Command(words, files={"letter.txt": LETTER}, limits=Limits(time=10)))
        print("command:", done.text.strip(), "words, in", done.sandbox)
        done = await runtime.run(Endpoint(f"{url}/.well-known/agent-card.json", method="GET"))
        print("endpoint:", done.value["name"])
        try:
            done = await runtime.run(Container("busybox", ["wc", "-l", "letter.txt"], files={"letter.txt": LETTER}))
            print("container:", done.text.strip(), "on", done.runtime)
        except (NoRuntime, RuntimeUnavailable) as missing:
            print("container:", missing)


if __name__ == "__main__":
    asyncio.run(main())
