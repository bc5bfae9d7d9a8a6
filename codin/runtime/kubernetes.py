"""A Kubernetes cluster: every workload a Job of its own."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, ClassVar

from codin.errors import CodinError, ConfigError, NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.runtime._endpoint import RemoteCall
from codin.runtime._kubernetes.api import Api
from codin.runtime._kubernetes.deployment import Deployment, deployed
from codin.runtime._kubernetes.job import Settings, closed, plan_of
from codin.runtime._kubernetes.run import attempt
from codin.runtime._protocol import Command, Emit, Endpoint, Kind, Outcome, Workload
from codin.runtime._runtime import Runtime, able
from codin.sandbox import Guarantee, Limits

__all__ = ["KubernetesRuntime"]


class KubernetesRuntime(Runtime):
    """Runs each workload as a Job: not as root, nothing to write but its working folder and /tmp, no service account.

    Args:
        namespace: where the Jobs are created.
        kubeconfig: the file; `$KUBECONFIG` or `~/.kube/config` when not given, and inside a pod its service account.
        context: one of that file.
        image: what functions, modules, commands and endpoints run in; it needs `python3`.
        pod: further fields of every pod's spec: `runtimeClassName`, `nodeSelector`, `tolerations`, `imagePullSecrets`.
        enforces: what this cluster keeps beside what a pod's spec can ask for: `network` when its network plug-in
            heeds NetworkPolicy, `processes` when its nodes bound the processes of a pod.
        start_within: seconds until a pod has to run, its image pulled.
        patience: seconds for which an API server that is away is asked again.
        keep: seconds for which the cluster keeps a Job that has ended, if nobody is there to delete it.
        guard: which addresses an endpoint may have, as `HttpRuntime` takes it; a Service of the cluster is a private
            one.

    Example:
        async with KubernetesRuntime(namespace="jobs", image="registry.example/tools:1") as runtime:
            print((await runtime.run(Function(primes, [20]))).value)
    """

    name: ClassVar[str] = "kubernetes"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"function", "module", "command", "container", "endpoint"})

    def __init__(
        self,
        *,
        namespace: str = "default",
        kubeconfig: str | None = None,
        context: str | None = None,
        image: str = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim",
        pod: Mapping[str, Any] | None = None,
        enforces: Collection[Guarantee] = (),
        start_within: float = 120.0,
        patience: float = 30.0,
        keep: float = 300.0,
        guard: AddressGuard | None = None,
    ) -> None:
        if find_spec("kubernetes_asyncio") is None:
            raise RuntimeUnavailable(
                "the runtime 'kubernetes' needs a package that is not installed: kubernetes_asyncio",
                hint="pip install 'codin[kubernetes]'",
            )
        self._settings = Settings(namespace, image, pod or {}, frozenset(enforces), start_within, keep)
        self._api = Api(kubeconfig, context, patience)
        self._guard = guard or AddressGuard()
        self._margin = start_within + 120.0

    async def missing(self, workload: Workload, /) -> str:
        if shortfall := self._shortfall(workload):
            return shortfall
        try:
            if isinstance(workload, Endpoint):
                workload = (await RemoteCall.of(workload, self._guard)).workload
            plan = plan_of(workload, self._settings)
            # The cluster looks at it as if it were meant, and forgets it.
            path = f"/apis/batch/v1/namespaces/{self._settings.namespace}/jobs"
            await self._api.ask("POST", path, plan.job, patience=0, dryRun="All")
        except CodinError as error:
            return error.message
        return ""

    async def deploy(
        self,
        name: str,
        *,
        image: str | None = None,
        command: Sequence[str] = (),
        port: int = 8000,
        replicas: int = 1,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Deployment:
        """Serve an agent from the cluster, or bring one of that name up to date.

        What is served answers at /healthz and /readyz, as `codin serve` does, and listens on all addresses:
        `command=["codin", "serve", "words.py", "--host", "0.0.0.0"]`. The values of `env` can be read by whoever may
        read Deployments; of `limits`, time does not hold.

        Raises:
            ConfigError: the cluster does not take it.
            RuntimeUnavailable: the cluster is away, or does not allow it.
        """
        return await deployed(
            self._api,
            self._settings,
            name,
            image=image or self._settings.image,
            command=command,
            port=port,
            replicas=replicas,
            env=env or {},
            limits=limits or Limits(),
        )

    async def close(self) -> None:
        await super().close()
        await self._api.close()

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        if shortfall := self._shortfall(workload):
            raise NoRuntime(
                shortfall,
                able=able(workload.kind),
                hint="KubernetesRuntime(enforces=…) says what the cluster keeps; sandbox='preferred' does without",
            )
        if isinstance(workload, Endpoint):
            call = await RemoteCall.of(workload, self._guard)
            return call.told(await self._attempt(call.workload, call.heard(emit)))
        return await self._attempt(await _whole(workload), emit)

    async def _attempt(self, workload: Workload, emit: Emit) -> Outcome:
        outcome = await attempt(self._api, plan_of(workload, self._settings), workload, emit, self._settings)
        return replace(outcome, sandbox=self.name, unenforced=self._unenforced(workload))

    def _unenforced(self, workload: Workload) -> frozenset[Guarantee]:
        cannot: set[Guarantee] = {"processes"}
        if closed(workload):
            cannot.add("network")
        return frozenset(cannot - self._settings.enforces)

    def _shortfall(self, workload: Workload) -> str:
        if workload.demand != "required" or not (short := self._unenforced(workload)):
            return ""
        return f"it is not known that this cluster keeps: {', '.join(sorted(short))}"


async def _whole(workload: Workload) -> Workload:
    """The workload with all of its input, which goes along when a pod is made. Raises ConfigError: it is too much."""
    if not isinstance(workload, Command) or workload.feed is None:
        return workload
    stdin = bytearray(workload.stdin)
    async for chunk in workload.feed:
        stdin += chunk
        if len(stdin) > workload.limits.disk:
            raise ConfigError(
                f"the input has more than {workload.limits.disk} bytes, and a pod has it as a file",
                hint="raise limits.disk of the workload, or let it fetch its input",
            )
    return replace(workload, stdin=bytes(stdin), feed=None)
