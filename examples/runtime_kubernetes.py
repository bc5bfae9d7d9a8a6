"""A function as a Job of a Kubernetes cluster: not as root, without a service account, gone when it has answered.

    python examples/runtime_kubernetes.py

Needs `pip install 'codin[kubernetes]'`, a kubeconfig, and a cluster that can pull the image `python:3.x-slim`.
"""

import asyncio

from codin.errors import RuntimeUnavailable
from codin.runtime import Function
from codin.runtime.kubernetes import KubernetesRuntime
from codin.sandbox import Limits


def primes(below: int) -> list[int]:
    return [number for number in range(2, below) if all(number % divisor for divisor in range(2, number))]


async def main() -> None:
    async with KubernetesRuntime(namespace="default", patience=3.0) as runtime:
        try:
            done = await runtime.run(Function(primes, [20], limits=Limits(memory=64 * 1024 * 1024)))
            print(done.value, "in", done.sandbox, "which does not keep:", *sorted(done.unenforced))
        except RuntimeUnavailable as missing:
            print(missing)


asyncio.run(main())
