"""An agent that stays in the cluster: a Deployment and a Service, applied together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from codin.errors import ConfigError, RuntimeUnavailable
from codin.runtime._kubernetes.api import Api, Away, NotThere
from codin.runtime._kubernetes.job import Settings, container_base, literal, pod_base
from codin.runtime._kubernetes.run import obstacle
from codin.sandbox import Limits

__all__ = ["Deployment", "deployed"]

_PAUSE = 0.3
_APPLY = "application/apply-patch+yaml"
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas")


class Deployment:
    """An agent that was deployed. It stays when this program ends, until `delete`.

    Attributes:
        name: of the Deployment and the Service.
        url: where the cluster's own pods reach it.
    """

    def __init__(self, api: Api, namespace: str, name: str, port: int) -> None:
        self.name: str = name
        self.url: str = f"http://{name}.{namespace}:{port}"
        self._api = api
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        self._service = f"/api/v1/namespaces/{namespace}/services/{name}"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def ready(self, *, within: float = 120.0) -> None:
        """Wait until all replicas of the newest version answer at /readyz; older ones may still be ending.

        Raises:
            RuntimeUnavailable: they do not, or it is not there any more; says what the pods say.
        """
        try:
            async with asyncio.timeout(within):
                await self._until(self._is_ready)
        except TimeoutError:
            raise RuntimeUnavailable(
                f"the deployment {self.name!r} was not ready within {within:g} s: {await self._obstacle()}",
                hint="its logs() say more",
            ) from None

    async def scale(self, replicas: int) -> None:
        """Change how many there are; `ready` waits for them."""
        await self._asked("PATCH", {"spec": {"replicas": replicas}})

    async def logs(self, *, lines: int = 100) -> str:
        """The last lines that its pods have written, one pod after the other."""
        written: list[str] = []
        for pod in await self._listed():
            path = f"{self._pods}/{pod['metadata']['name']}/log"
            try:
                async with self._api.stream(path, tailLines=str(lines)) as log:
                    written.append((await log.read()).decode(errors="replace"))
            except (NotThere, ConfigError):
                continue  # its container has not begun
            except Away as away:
                raise away.told() from away
        return "".join(written)

    async def follow(self) -> AsyncIterator[str]:
        """What the first of its pods writes, as it comes, until that pod ends. Raises RuntimeUnavailable."""
        for pod in (await self._listed())[:1]:
            try:
                async with self._api.stream(f"{self._pods}/{pod['metadata']['name']}/log", follow="true") as log:
                    async for line in log:
                        yield line.decode(errors="replace")
            except Away as away:
                raise away.told() from away

    async def delete(self, *, within: float = 60.0) -> None:
        """Take it away with its pods. Does nothing when it is gone.

        Raises:
            RuntimeUnavailable: its pods have not ended in that time.
        """
        for path in (self._service, self._path):
            try:
                await self._api.ask("DELETE", path, {"propagationPolicy": "Background"})
            except NotThere:
                continue
        try:
            async with asyncio.timeout(within):
                await self._until(self._is_gone)
        except TimeoutError:
            raise RuntimeUnavailable(f"pods of {self.name!r} have not ended within {within:g} s") from None

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():  # noqa: ASYNC110 - the cluster is asked, and nobody here could set an event
            await asyncio.sleep(_PAUSE)

    async def _is_ready(self) -> bool:
        told = await self._asked("GET")
        status, wanted = told.get("status", {}), told["spec"]["replicas"]
        seen = status.get("observedGeneration", 0) >= told["metadata"]["generation"]
        return seen and [status.get(name, 0) for name in _COUNTS] == [wanted] * len(_COUNTS)

    async def _is_gone(self) -> bool:
        return not await self._listed()

    async def _asked(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            return await self._api.ask(method, self._path, body, content="application/merge-patch+json")
        except NotThere as error:
            raise RuntimeUnavailable(f"the deployment {self.name!r} is not there: {error.message}") from error

    async def _listed(self) -> list[dict[str, Any]]:
        return (await self._api.ask("GET", self._pods, labelSelector=f"codin.agent={self.name}"))["items"]

    async def _obstacle(self) -> str:
        reasons = [reason for pod in await self._listed() if (reason := obstacle(pod))]
        return reasons[0] if reasons else "its pods do not say that they are ready"


async def deployed(
    api: Api,
    settings: Settings,
    name: str,
    *,
    image: str,
    command: Sequence[str],
    port: int,
    replicas: int,
    env: Mapping[str, str],
    limits: Limits,
) -> Deployment:
    """Apply the objects of a deployment. Raises as `KubernetesRuntime.deploy` does."""
    labels = {"app.kubernetes.io/managed-by": "codin", "codin.agent": name}
    base = container_base(limits)
    container: dict[str, Any] = {
        **base,
        "name": "agent",
        "image": image,
        "workingDir": "/box",
        "ports": [{"containerPort": port, "protocol": "TCP"}],
        "env": [*base["env"], *({"name": key, "value": literal(value)} for key, value in env.items())],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": port}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": port}, "initialDelaySeconds": 10},
    }
    if command:
        container["command"] = [literal(part) for part in command]
    # An agent finishes its tasks before it goes.
    pod = {**pod_base(limits, settings), "containers": [container], "terminationGracePeriodSeconds": 30, **settings.pod}
    chosen = {"codin.agent": name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": chosen},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": chosen, "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}]},
    }
    where = settings.namespace
    paths = (f"/apis/apps/v1/namespaces/{where}/deployments/{name}", f"/api/v1/namespaces/{where}/services/{name}")
    for path, body in zip(paths, (deployment, service), strict=True):
        try:
            await api.ask("PATCH", path, body, content=_APPLY, fieldManager="codin", force="true")
        except NotThere as error:
            raise RuntimeUnavailable(error.message, hint=f"is there a namespace {where!r}?") from error
    return Deployment(api, where, name, port)
