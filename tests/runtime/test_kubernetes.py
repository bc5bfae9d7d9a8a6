"""A cluster, in order and out of it."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin.errors import ConfigError, FileRefused, NoRuntime, RuntimeUnavailable, WorkloadFailed, WorkloadTimeout
from codin.runtime import Command, Container, Endpoint, Function, RuntimeResult, Workload
from codin.runtime.kubernetes import KubernetesRuntime
from codin.sandbox import Code, Limits, Output
from tests.runtime.test_http import NEAR, endpoint, said
from tests.servers.kubernetes import Cluster
from tests.servers.kubernetes_node import kills_for_memory

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
WAITING = Command(["sh", "-c", "echo ready; exec sleep 600"])


@pytest.fixture
def cluster(kubernetes_config: Cluster) -> Cluster:
    return kubernetes_config


@pytest.fixture
async def runtime(cluster: Cluster) -> AsyncIterator[KubernetesRuntime]:
    async with KubernetesRuntime(image="codin/python:1", start_within=60) as runtime:
        yield runtime


async def begun(runtime: KubernetesRuntime, workload: Workload) -> RuntimeResult:
    """A workload that has written its first word."""
    running = await runtime.run(workload, stream=True)
    async with asyncio.timeout(60):
        async for event in running:
            if isinstance(event, Output):
                break
    return running


async def test_an_image_runs_what_it_is_made_for(runtime: KubernetesRuntime) -> None:
    assert (await runtime.run(Container("codin/tools:1"))).text == "I am what the image runs\n"


async def test_an_image_is_given_a_command_input_files_and_an_environment(runtime: KubernetesRuntime) -> None:
    script = 'cat; cat a.txt; echo "$WORD $(echo $HOME)"; mkdir out; echo mine > out/b.txt; echo not > c.txt; exit 3'
    work = Container(
        "codin/tools:1",
        ["sh", "-c", script],
        b"given ",
        env={"WORD": "$(HOME)"},
        files={"a.txt": b"file "},
        artifacts=["out/*"],
    )
    with pytest.raises(WorkloadFailed) as told:
        await runtime.run(work)
    result = told.value.result
    assert result is not None
    assert (result.exit_code, result.text) == (3, "given file $(HOME) /box\n")
    assert dict(result.artifacts) == {"out/b.txt": b"mine\n"}


async def test_an_image_with_files_has_to_be_told_its_command(runtime: KubernetesRuntime) -> None:
    with pytest.raises(NoRuntime, match="nobody here knows what it runs"):
        await runtime.run(Container("codin/tools:1", files={"a": b""}))


async def test_bytes_that_are_no_text_come_back_as_they_are(runtime: KubernetesRuntime) -> None:
    everything = bytes(range(256)) * 3
    assert (await runtime.run(Command(["cat"], everything))).stdout == everything


async def test_an_endpoint_is_called_from_inside_the_pod(cluster: Cluster) -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        if body == b"[0]":
            writer.write(said(422, b"no nought"))
        elif body == b"[9]":
            writer.transport.abort()
        else:
            writer.write(said(200, b'{"got": %s}' % body, "application/json"))

    async with KubernetesRuntime(image="codin/python:1", guard=NEAR) as runtime, endpoint(answer) as url:
        with pytest.raises(WorkloadFailed, match="HTTP 422: no nought"):
            await runtime.run(Endpoint(url, body=[0]))
        with pytest.raises(RuntimeUnavailable, match="unknown"):
            await runtime.run(Endpoint(url, body=[9]))
        assert (await runtime.run(Endpoint(url, body=[1]))).value == {"got": [1]}


async def test_an_endpoint_inside_is_refused_unless_somebody_said_so(runtime: KubernetesRuntime) -> None:
    with pytest.raises(NoRuntime, match=r"127\.0\.0\.1"):
        await runtime.run(Endpoint("http://127.0.0.1:9/"))


async def test_a_pod_is_nobody_and_writes_nowhere_but_its_folders(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    running = await begun(runtime, WAITING)
    (pod,) = cluster.ask("GET", "/api/v1/namespaces/default/pods")["items"]
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert container["resources"]["limits"]["memory"] == str(256 * MIB)
    assert [volume["name"] for volume in spec["volumes"] if "emptyDir" in volume] == ["box", "tmp"]
    await running.cancel()


async def test_nothing_is_left(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    await runtime.run(Command(["true"]))
    running = await begun(runtime, WAITING)
    await running.cancel()
    assert cluster.node.running() == []
    assert cluster.left() == []


async def test_what_a_cluster_may_not_keep_is_said_or_refused(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    code = Command(Code("print(1)"))
    with pytest.raises(NoRuntime, match="not known that this cluster keeps: network, processes"):
        await runtime.run(code)
    assert "not known" in await runtime.missing(code)
    done = await runtime.run(dataclasses.replace(code, sandbox="preferred"))
    assert (done.sandbox, done.unenforced) == ("kubernetes", {"network", "processes"})
    async with KubernetesRuntime(image="codin/python:1", enforces=("network", "processes")) as knowing:
        running = await begun(knowing, WAITING)
        assert cluster.names("networkpolicies", "/apis/networking.k8s.io/v1")
        await running.cancel()
        assert (await knowing.run(code)).unenforced == frozenset()


async def test_memory_is_kept(runtime: KubernetesRuntime) -> None:
    if not kills_for_memory():
        pytest.skip("this node has no control group for memory")
    with pytest.raises(WorkloadFailed, match="more memory"):
        await runtime.run(Command(Code("x = b'x' * 10**9"), limits=Limits(memory=64 * MIB), sandbox="preferred"))


async def test_an_image_is_stopped_when_its_time_is_over(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    with pytest.raises(WorkloadTimeout, match=r"did not end within 1\.0 s"):
        await runtime.run(Container("codin/tools:1", ["sleep", "600"], limits=Limits(time=1.0)))
    assert cluster.node.running() == []


async def test_an_image_that_is_not_there(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    with pytest.raises(RuntimeUnavailable, match="ImagePullBackOff: pull access denied"):
        await runtime.run(Container("codin/none:1"))
    assert cluster.left() == []
    assert (await runtime.run(Command(["echo", "next"]))).text == "next\n"


async def test_a_pod_for_which_there_is_no_room(cluster: Cluster) -> None:
    async with KubernetesRuntime(image="codin/python:1", start_within=2) as runtime:
        with pytest.raises(RuntimeUnavailable, match="Insufficient memory"):
            await runtime.run(Command(["true"], limits=Limits(memory=64 * 1024 * MIB)))
    assert cluster.left() == []


async def test_a_pod_that_is_evicted_for_what_it_wrote_has_failed(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    running = await begun(runtime, WAITING)
    cluster.node.evict(cluster.names("pods")[0], 'Usage of EmptyDir volume "box" exceeds the limit "64Mi".')
    with pytest.raises(WorkloadFailed, match="evicted: Evicted: Usage of EmptyDir"):
        await running.wait()
    assert cluster.left() == []
    assert (await runtime.run(Command(["echo", "next"]))).text == "next\n"


async def test_a_pod_that_is_evicted_for_others_is_lost(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    running = await begun(runtime, WAITING)
    cluster.node.evict(cluster.names("pods")[0], "The node was low on resource: memory.")
    with pytest.raises(RuntimeUnavailable, match="low on resource"):
        await running.wait()
    assert cluster.left() == []
    assert (await runtime.run(Command(["echo", "next"]))).text == "next\n"


def failed(reason: str, message: str) -> dict[str, Any]:
    """What a kubelet writes of a pod that it did not let run, or not to its end."""
    return {"phase": "Failed", "reason": reason, "message": message}


def container(phase: str, **state: Any) -> dict[str, Any]:
    """What a kubelet writes of a pod whose container is in a state."""
    told = {"name": "workload", "image": "codin/python:1", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": phase, "containerStatuses": [{**told, "state": state}]}


WRITTEN: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "rejected": (failed("OutOfcpu", "not enough resource: cpu"), RuntimeUnavailable, "OutOfcpu: not enough"),
    "shutdown": (failed("Shutdown", "Node is shutting down"), RuntimeUnavailable, "Node is shutting down"),
    "evicted": (failed("Evicted", "low on resource: memory"), RuntimeUnavailable, "Evicted: low on resource"),
    "own-fault": (failed("Evicted", "usage exceeds the limit"), WorkloadFailed, "evicted: Evicted: usage exceeds"),
    "deadline": (failed("DeadlineExceeded", "active for too long"), WorkloadTimeout, "active for too long"),
    "memory": (
        container("Failed", terminated={"exitCode": 137, "reason": "OOMKilled"}),
        WorkloadFailed,
        f"killed at {256 * MIB} bytes",
    ),
    "program": (
        container("Failed", terminated={"exitCode": 128, "reason": "StartError", "message": "exec: not found"}),
        WorkloadFailed,
        "exec: not found",
    ),
    "image": (
        container("Pending", waiting={"reason": "ImagePullBackOff", "message": "manifest unknown"}),
        RuntimeUnavailable,
        "cannot begin: ImagePullBackOff: manifest unknown",
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
async def test_what_a_kubelet_writes_of_a_pod_is_told(cluster: Cluster, case: str) -> None:
    status, error, said = WRITTEN[case]
    unseen = {"schedulerName": "nobody"}  # so that nobody else writes of it
    async with asyncio.timeout(90), KubernetesRuntime(image="codin/python:1", pod=unseen) as runtime:
        running = await runtime.run(Command(["true"]), stream=True)
        while not (pods := await asyncio.to_thread(cluster.names, "pods")):
            pass
        cluster.ask("PATCH", f"/api/v1/namespaces/default/pods/{pods[0]}/status", {"status": status})
        with pytest.raises(error, match=said):
            await running.wait()
    assert cluster.left() == []


async def test_a_job_that_the_cluster_stops_at_its_deadline(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    running = await begun(runtime, WAITING)
    (job,) = cluster.names("jobs", "/apis/batch/v1")
    cluster.ask("PATCH", f"/apis/batch/v1/namespaces/default/jobs/{job}", {"spec": {"activeDeadlineSeconds": 1}})
    with pytest.raises(WorkloadTimeout, match="DeadlineExceeded"):
        await running.wait()
    assert cluster.node.running() == []
    assert cluster.left() == []


async def test_a_pod_that_somebody_deletes_is_lost(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    running = await begun(runtime, WAITING)
    cluster.ask("DELETE", f"/api/v1/namespaces/default/pods/{cluster.names('pods')[0]}")
    with pytest.raises(RuntimeUnavailable, match="lost while it ran"):
        await running.wait()
    assert cluster.left() == []


async def test_an_api_server_that_comes_back_is_not_noticed(cluster: Cluster, tmp_path: Path) -> None:
    work = Command(["sh", "-c", "echo ready; while read -r line; do :; done; sleep 8; echo done; seq 1000"])
    async with KubernetesRuntime(image="codin/python:1", patience=120) as runtime:
        running = await begun(runtime, dataclasses.replace(work, limits=Limits(time=None)))
        cluster.stop_api()
        cluster.begin_api()
        await asyncio.to_thread(cluster.wait_for_api)
        async with asyncio.timeout(120):
            done = await running.wait()
    assert done.text == "ready\ndone\n" + "".join(f"{number}\n" for number in range(1, 1001))
    assert cluster.left() == []


async def test_an_api_server_that_stays_away_is_an_error(cluster: Cluster) -> None:
    async with KubernetesRuntime(image="codin/python:1", patience=1) as runtime:
        running = await begun(runtime, WAITING)
        cluster.stop_api()
        try:
            async with asyncio.timeout(60):
                with pytest.raises(RuntimeUnavailable, match="does not answer"):
                    await running.wait()
        finally:
            cluster.begin_api()
            await asyncio.to_thread(cluster.wait_for_api)
    # What could not be deleted goes at its deadline; nobody shall wait here for that.
    for job in cluster.names("jobs", "/apis/batch/v1"):
        cluster.ask("DELETE", f"/apis/batch/v1/namespaces/default/jobs/{job}?propagationPolicy=Background")
    assert cluster.left() == []


async def test_the_cluster_ends_what_nobody_waits_for_any_more(cluster: Cluster) -> None:
    async with KubernetesRuntime(image="codin/python:1", start_within=30) as runtime:
        running = await begun(runtime, dataclasses.replace(WAITING, limits=Limits(time=600.0)))
        (job,) = cluster.ask("GET", "/apis/batch/v1/namespaces/default/jobs")["items"]
        assert job["spec"]["activeDeadlineSeconds"] == 645
        assert job["spec"]["ttlSecondsAfterFinished"] == 300
        assert job["spec"]["backoffLimit"] == 0
        secrets = cluster.ask("GET", "/api/v1/namespaces/default/secrets")["items"]
        owners = [secret["metadata"]["ownerReferences"][0]["uid"] for secret in secrets]
        assert owners == [job["metadata"]["uid"]]
        await running.cancel()


async def test_somebody_without_rights_is_told_which(cluster: Cluster) -> None:
    async with KubernetesRuntime(kubeconfig=str(cluster.poor)) as runtime:
        assert 'cannot create resource "jobs"' in await runtime.missing(Command(["true"]))
        with pytest.raises(RuntimeUnavailable, match="HTTP 403") as told:
            await runtime.run(Command(["true"]))
    assert "get of pods/log" in str(told.value.hint)


async def test_what_the_cluster_does_not_take_is_told_in_its_words(runtime: KubernetesRuntime) -> None:
    with pytest.raises(ConfigError, match="HTTP 422"):
        await runtime.run(Container("codin/tools:1", env={"no name": "x"}))


async def test_a_namespace_that_is_not_there(cluster: Cluster) -> None:
    async with KubernetesRuntime(namespace="nowhere") as runtime:
        with pytest.raises(RuntimeUnavailable, match="nowhere"):
            await runtime.run(Command(["true"]))


async def test_no_cluster_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    async with KubernetesRuntime() as runtime:
        assert "no cluster is known" in await runtime.missing(Command(["true"]))


async def test_more_than_one_secret_holds_is_sent_and_far_more_is_refused(runtime: KubernetesRuntime) -> None:
    noise = random.Random(7).randbytes(2 * MIB)
    done = await runtime.run(Command(["sh", "-c", "wc -c < noise"], files={"noise": noise}))
    assert int(done.text) == 2 * MIB
    with pytest.raises(ConfigError, match="what is sent along has"):
        await runtime.run(Command(["true"], files={"noise": noise * 8}))


async def test_artifacts_that_are_too_large_for_a_log_are_refused(runtime: KubernetesRuntime) -> None:
    def fill() -> None:
        import os
        from pathlib import Path

        Path("large").write_bytes(os.urandom(8 * 1024 * 1024))

    with pytest.raises(FileRefused, match="larger than the log of a pod"):
        await runtime.run(Function(fill, artifacts=["large"]))


AGENT = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/healthz", "/readyz") else 404)
        self.end_headers()
http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Answer).serve_forever()
"""


async def test_an_agent_is_deployed_read_scaled_and_taken_away(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    with socket.create_server(("0.0.0.0", 0)) as free:
        port = free.getsockname()[1]
    command = ["python3", "-u", "-c", AGENT, str(port)]
    served = await runtime.deploy("shout", command=command, port=port, env={"WORD": "word"}, limits=Limits(cpu=0.5))
    assert served.url == f"http://shout.default:{port}"
    await served.ready(within=60)
    assert "GET /readyz" in await served.logs()
    (spec,) = cluster.ask("GET", "/apis/apps/v1/namespaces/default/deployments")["items"]
    (container,) = spec["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["resources"]["limits"]["cpu"] == "500m"
    await served.scale(0)
    await served.ready(within=60)
    await served.delete()
    assert cluster.names("pods") == []
    assert cluster.left() == []
    assert "shout" not in cluster.names("services")
    with pytest.raises(RuntimeUnavailable, match="is not there"):
        await served.ready(within=5)


async def test_an_agent_that_cannot_begin_is_told_with_the_reason(runtime: KubernetesRuntime, cluster: Cluster) -> None:
    served = await runtime.deploy("none", image="codin/none:1")
    with pytest.raises(RuntimeUnavailable, match="pull access denied"):
        await served.ready(within=3)
    await served.delete()
    assert cluster.left() == []
