"""The API server of a cluster: plain JSON both ways, errors in our words, and patience when it is away for a while."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from codin.errors import CodinError, ConfigError, RuntimeUnavailable

__all__ = ["Api", "Away", "NotThere", "Refused"]

_REQUEST = 15.0  # seconds of one request
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_GRANTS = (
    "the role needs: create, get, list, watch, delete of jobs; create, get of secrets; get, list, watch of pods; "
    "get of pods/log"
)


class Refused(ConfigError):
    """The API server does not take an object: it is wrong, or an admission rule says no."""


class NotThere(CodinError):
    """There is no such object."""


class Api:
    """One connection to a cluster, opened on first use.

    Args:
        kubeconfig: the file; `$KUBECONFIG` or `~/.kube/config` when not given, and inside a pod its service account.
        context: one of that file.
        patience: seconds for which a server that is away is asked again.
    """

    def __init__(self, kubeconfig: str | None, context: str | None, patience: float) -> None:
        self.patience = patience
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience: float | None = None,
        content: str = "application/json",
        **query: str,
    ) -> dict[str, Any]:
        """One request, asked again while the server is away.

        Raises:
            Refused, NotThere: the server says so.
            RuntimeUnavailable: it is away for longer than that, or this user may not do it.
        """
        until = time.monotonic() + (self.patience if patience is None else patience)
        pause = _PAUSE
        while True:
            try:
                async with self._answer(method, path, body, query, content, _REQUEST) as answer:
                    return _object(await answer.read())
            except Away as away:
                if time.monotonic() + pause > until:
                    raise away.told() from away
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @asynccontextmanager
    async def stream(self, path: str, **query: str) -> AsyncGenerator[Any]:
        """An answer that comes bit by bit, as a reader of aiohttp. Raises Away when it breaks off, and as `ask`."""
        async with self._answer("GET", path, None, query, "application/json", None) as answer:
            yield answer.content

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
        content: str,
        seconds: float | None,
    ) -> AsyncGenerator[Any]:
        client = await self.connected()
        import aiohttp

        bound = aiohttp.ClientTimeout(total=seconds, sock_connect=_REQUEST)
        try:
            answer = await client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json, */*", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=bound,
            )
            async with answer:
                if answer.status >= 400:
                    raise _refusal(answer.status, await answer.read())
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Away(str(error) or type(error).__name__) from error

    async def connected(self) -> Any:
        """The client. Raises RuntimeUnavailable when no cluster is known."""
        async with self._opening:
            if self._client is None:
                self._client = await _client(self._kubeconfig, self._context)
            return self._client


class Away(Exception):
    """The server did not answer, or not to the end, or is too busy to."""

    def told(self) -> RuntimeUnavailable:
        return RuntimeUnavailable(
            f"the Kubernetes API server does not answer: {self}", hint="kubectl cluster-info says whether it is there"
        )


async def _client(kubeconfig: str | None, context: str | None) -> Any:
    # It takes a second to import.
    kubernetes: Any = await asyncio.to_thread(__import__, "kubernetes_asyncio.config")
    settings = kubernetes.client.Configuration()
    settings.retries = 0
    # The library looks at $KUBECONFIG once, when it is imported.
    file = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        if found := _there(file):
            await kubernetes.config.load_kube_config(found, context=context, client_configuration=settings)
        elif kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes.config.load_incluster_config(client_configuration=settings)
        else:
            raise FileNotFoundError(f"there is no kubeconfig {file!r}")
        return kubernetes.client.ApiClient(settings)
    except Exception as error:  # of any kind, where the file is no kubeconfig
        is_told = isinstance(error, kubernetes.config.ConfigException | OSError)
        reason = error if is_told else f"{file!r} is no kubeconfig: {type(error).__name__}"
        raise RuntimeUnavailable(
            f"no cluster is known: {reason}", hint="KubernetesRuntime(kubeconfig=…), $KUBECONFIG or ~/.kube/config"
        ) from error


def _there(files: str) -> str:
    """Those of the kubeconfigs that exist."""
    paths = [Path(part).expanduser() for part in files.split(os.pathsep)]
    return os.pathsep.join(str(path) for path in paths if path.is_file())


def _object(body: bytes) -> dict[str, Any]:
    """What an API server answers with. Raises Away when it is somebody else who answers."""
    with suppress(ValueError, RecursionError):
        if isinstance(told := json.loads(body), dict):
            return cast("dict[str, Any]", told)
    raise Away("what answers there is no API server")


def _refusal(status: int, body: bytes) -> Exception:
    try:
        said = str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError, RecursionError):
        said = ""
    said = said or body[:300].decode(errors="replace")
    if status in (401, 403):
        return RuntimeUnavailable(f"the cluster does not allow it (HTTP {status}): {said}", hint=_GRANTS)
    if status == 404:
        return NotThere(f"the cluster does not have it: {said}")
    if status in (408, 410, 429) or status >= 500:
        return Away(f"HTTP {status}: {said}")
    return Refused(f"the cluster does not take it (HTTP {status}): {said}")
