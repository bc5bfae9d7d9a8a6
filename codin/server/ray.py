"""Agents on a Ray cluster, behind Ray Serve."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from codin.errors import ConfigError
from codin.server._app import App

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["serve_application"]


def serve_application(
    target: str,
    *,
    name: str | None = None,
    num_cpus: float = 1.0,
    resources: Mapping[str, float] | None = None,
    max_requests: int = 1000,
    **options: Any,
) -> Application:
    """An agent as an application of Ray Serve: `ray.serve.run(serve_application("shop.agents:clerk"))`.

    There is one replica of it: its turns and streams live in one process, and its store is open in one process at a
    time. When its node is lost, Serve begins it anew on another; what a store on that node held stays there.

    Args:
        target: `package.module:attribute`, something that `codin.server.App` serves; importable on the node.
        name: of the deployment; the attribute's when not given.
        num_cpus: of the node.
        resources: what else the node has to have.
        max_requests: under way at once, every open stream among them; Serve lets the rest wait.
        options: of `App`; they are pickled.

    Raises:
        ConfigError: the target is no such name.
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise ConfigError(f"the target {target!r} is no name", hint="write it like package.module:agent")

    serve: Any = import_module("ray.serve")

    def app() -> App:
        return _loaded(target, options)

    deployment: Any = serve.deployment(
        serve.ingress(app)(),
        name=name or attribute.replace(".", "-"),
        num_replicas=1,
        max_ongoing_requests=max_requests,
        ray_actor_options={"num_cpus": num_cpus, "resources": dict(resources or {})},
    )
    return deployment.bind()


def _loaded(target: str, options: Mapping[str, Any]) -> App:
    """On the node: import what is named, and serve it."""
    module, _, attribute = target.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return App(found, **options)
