"""What is said to be a cluster and is none: its kubeconfig, its API server, its pods."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from codin.errors import ConfigError, FileRefused, RuntimeUnavailable, WorkloadFailed
from codin.runtime import Command, RuntimeResult
from codin.runtime.kubernetes import KubernetesRuntime
from codin.sandbox import Limits

pytestmark = pytest.mark.anyio


def kubeconfig(url: str, place: Path, **cluster: str) -> str:
    """A kubeconfig that names a server; gives its path."""
    told: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": {}}],
    }
    file = place / "config"
    file.write_text(json.dumps(told))
    return str(file)


@asynccontextmanager
async def cluster(answer: Any, place: Path) -> AsyncGenerator[KubernetesRuntime]:
    """A runtime on a server that answers everything in one way."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with TestServer(app) as server:
        config = kubeconfig(str(server.make_url("")), place)
        async with KubernetesRuntime(kubeconfig=config, patience=0) as runtime:
            yield runtime


@pytest.mark.parametrize("body", ["<html>", "5", "[" * 100_000], ids=["html", "number", "deep"])
async def test_a_server_that_is_no_api_server(body: str, tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body)

    async with cluster(answer, tmp_path) as runtime:
        assert "is no API server" in await runtime.missing(Command(["true"]))
        with pytest.raises(RuntimeUnavailable, match="is no API server"):
            await runtime.run(Command(["true"]))


@pytest.mark.parametrize("text", ["a: [1,\nb: }", "- secret", "", "a", "clusters: 5\ncurrent-context: c"])
async def test_a_kubeconfig_that_is_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    async with KubernetesRuntime(kubeconfig=str(file)) as runtime:
        assert "no cluster is known" in await runtime.missing(Command(["true"]))


async def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    config = kubeconfig("https://127.0.0.1:9", tmp_path, **{"certificate-authority-data": "bm9uZQ=="})
    async with KubernetesRuntime(kubeconfig=config) as runtime:
        assert "no cluster is known" in await runtime.missing(Command(["true"]))


class Pod:
    """What a cluster tells of one pod, which has ended, and in which somebody else writes the log.

    Args:
        lines: of the log: what stands behind the mark.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self._mark = b""
        self._is_there = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/log"):
            return await self._log(request)
        if request.path.endswith("/pods"):
            items = [self._pod()] if self._is_there else []
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})
        body = await request.json()
        if "job.json" in body.get("data", {}):
            self._mark = json.loads(b64decode(body["data"]["job.json"]))["mark"].encode()
        if request.method == "DELETE":
            self._is_there = False
        return web.json_response({**body, "metadata": {**body.get("metadata", {}), "uid": "u"}})

    def _pod(self) -> Mapping[str, Any]:
        states = [{"state": {"terminated": {"exitCode": 0}}}]
        return {"metadata": {"name": "p"}, "status": {"phase": "Succeeded", "containerStatuses": states}}

    async def _log(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in self._lines:
            await answer.write(self._mark + b" " + line + b"\n")
        return answer


async def told_by(lines: Iterable[bytes], place: Path, **limits: int) -> RuntimeResult:
    """What comes of a workload whose pod has such a log."""
    work = Command(["true"], artifacts=["*.png"], limits=Limits(time=None, **limits))
    async with cluster(Pod(lines).answer, place) as runtime, asyncio.timeout(60):
        return await runtime.run(work)


def line(word: str, data: bytes) -> bytes:
    return f"{word} {b64encode(data).decode()}".encode()


END = line("end", b'{"code": 0, "ended": "exited"}')


def endless(one: bytes) -> Iterator[bytes]:
    while True:
        yield one


def archive(name: str, size: int) -> list[bytes]:
    """The lines of an archive with one member of zeros."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as files:
        member = tarfile.TarInfo(name)
        member.size = size
        files.addfile(member, io.BytesIO(bytes(size)))
    data = gzip.compress(packed.getvalue())
    return [line("t", data[start : start + 45_000]) for start in range(0, len(data), 45_000)]


async def test_a_pod_that_tells_the_truth(tmp_path: Path) -> None:
    done = await told_by([line("o", b"said"), *archive("a.png", 3), END], tmp_path)
    assert (done.text, done.exit_code, dict(done.artifacts)) == ("said", 0, {"a.png": bytes(3)})


@pytest.mark.parametrize(
    "said", [b'{"code": "x"}', b'{"code": null}', b'{"code": [1]}', b'{"code": 1, "refused": [1]}']
)
async def test_an_exit_code_that_is_none_is_a_failure(said: bytes, tmp_path: Path) -> None:
    with pytest.raises(WorkloadFailed, match="exit code 1"):
        await told_by([line("end", said)], tmp_path)


async def test_an_end_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    with pytest.raises(WorkloadFailed, match="does not say how it ended"):
        await told_by([line("end", b"[" * 100_000)], tmp_path)


@pytest.mark.parametrize(
    "one", [line("t", bytes(45_000)), line("x", bytes(45_000)), b"o ?" * 1000], ids=["t", "x", "o"]
)
async def test_a_log_without_end_is_not_read_to_its_end(one: bytes, tmp_path: Path) -> None:
    with pytest.raises(WorkloadFailed, match="too much"):
        await told_by(endless(one), tmp_path, output=1024)


async def test_more_artifacts_than_a_pod_may_give_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="larger than the log of a pod"):
        await told_by([*[line("t", bytes(45_000))] * 160, END], tmp_path)


@pytest.mark.parametrize("name", ["a.png", "not-asked-for"])
async def test_an_archive_that_is_large_once_it_is_unpacked_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"larger than limits\.disk"):
        await told_by([*archive(name, 80 * 1024 * 1024), END], tmp_path, disk=1024 * 1024)


async def test_an_archive_that_is_cut_is_refused(tmp_path: Path) -> None:
    lines = archive("a.png", 3)
    cut = line("t", b64decode(lines[0].split()[1])[:-8])
    with pytest.raises(FileRefused, match="cannot be read: they end too early"):
        await told_by([cut, END], tmp_path)


async def test_input_without_end_is_refused(tmp_path: Path) -> None:
    given = 0

    async def feed() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield bytes(1000)

    async with cluster(Pod([]).answer, tmp_path) as runtime, asyncio.timeout(60):
        with pytest.raises(ConfigError, match="the input has more than 10000 bytes"):
            await runtime.run(Command(["wc"], feed=feed(), limits=Limits(disk=10_000)))
    assert given == 11
