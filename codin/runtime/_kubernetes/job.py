"""A workload as objects of Kubernetes: a Job, Secrets with what is sent along, and a NetworkPolicy where one holds."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files as package_files
from secrets import token_hex
from typing import Any

from codin.errors import ConfigError, NoRuntime
from codin.runtime._job import Job, job_of
from codin.runtime._protocol import Container, Workload
from codin.sandbox import Code, Guarantee, Limits, Stream
from codin.sandbox._protocol import FLOOD

__all__ = [
    "MOST_BACK",
    "Plan",
    "Settings",
    "closed",
    "container_base",
    "literal",
    "plan_of",
    "pod_base",
    "resources",
    "sent_to",
]

MIB = 1024 * 1024
MOST_BACK = 6 * MIB  # bytes of packed artifacts: a log is cut at 10 MiB on most clusters
_MOST_SENT = 8 * MIB
_PART = 700 * 1024  # bytes in one Secret, which may have 1 MiB
_USER = 1000

# Files, stdin and artifacts of an image of which nothing is known but that it has a shell.
_SHELL = r"""
cat /codin/files.* 2>/dev/null | tar -xzf - 2>/dev/null
"$@" < @STDIN@
code=$?
find . -type f | while IFS= read -r file; do
  file=${file#./}
  case "$file" in .codin/*) ;; @PATTERNS@) printf '%s\n' "$file" ;; esac
done > /tmp/.codin
if [ -s /tmp/.codin ]; then
  tar -czf - -T /tmp/.codin | head -c @MOST@ | base64 | while read -r line; do printf '%s t %s\n' '@MARK@' "$line"; done
fi
printf '%s end %s\n' '@MARK@' "$(printf '{"code": %d}' "$code" | base64)"
exit "$code"
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `KubernetesRuntime` was told."""

    namespace: str
    image: str
    pod: Mapping[str, Any]
    enforces: frozenset[Guarantee]
    start_within: float
    keep: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is created for one attempt, and how to read its log.

    Args:
        nonce: begins the frames of the guest, if there is one.
        plain: the stream that lines without a mark belong to.
        wrapped: codin runs in the pod, keeps the time there and says how it ended.
    """

    name: str
    job: dict[str, Any]
    sent: Sequence[dict[str, Any]]
    policy: dict[str, Any] | None
    mark: str
    nonce: str
    plain: Stream
    wrapped: bool
    told: bool = field(default=True)
    """It says how it ended."""


def plan_of(workload: Workload, settings: Settings) -> Plan:
    """What to create.

    Raises:
        ConfigError: a function cannot be sent, or there is too much to send.
        NoRuntime: an image that is given files has to be told its command.
    """
    name, mark = f"codin-{token_hex(6)}", f"\x1e{token_hex(8)}"
    if isinstance(workload, Container):
        return _container(workload, settings, name, mark)
    job = job_of(workload)
    told = {
        "mark": mark,
        "command": [None, "-c", job.command.source] if isinstance(job.command, Code) else list(job.command),
        "env": dict(workload.env),
        "time": workload.limits.time,
        "output": workload.limits.output,
        "flood": FLOOD * workload.limits.output,
        "disk": workload.limits.disk,
        "artifacts": list(workload.artifacts),
        "most": MOST_BACK,
    }
    sent = {
        "job.json": json.dumps(told).encode(),
        "pod.py": (package_files("codin.runtime._kubernetes") / "pod.py").read_bytes(),
    }
    container = {"image": settings.image, "command": ["python3", "-I", "-u", "/codin/pod.py"]}
    plan = _plan(workload, settings, name, container, {**sent, **_parts(job)})
    return replace(plan, mark=mark, nonce=job.nonce, plain="stderr", wrapped=True)


def _container(workload: Container, settings: Settings, name: str, mark: str) -> Plan:
    env = [_from_secret(f"{name}-0", number, key) for number, key in enumerate(workload.env)]
    values = {f"env.{number}": value.encode() for number, value in enumerate(workload.env.values())}
    container: dict[str, Any] = {"image": workload.image, "env": env}
    needs_shell = bool(workload.files or workload.stdin or workload.artifacts)
    if not needs_shell:
        container["args"] = [literal(part) for part in workload.command]
        return replace(_plan(workload, settings, name, container, values), mark=mark, told=False)
    if not workload.command:
        raise NoRuntime(
            f"the image {workload.image!r} is given files, input or artifacts, and nobody here knows what it runs",
            able=("docker",),
            hint="give its command",
        )
    script = _script(workload, mark)
    container["command"] = ["/bin/sh", "-c", literal(script), "sh"]
    container["args"] = [literal(part) for part in workload.command]
    sent = {**values, **_parts(Job(workload.command, workload.files, workload.stdin))}
    return replace(_plan(workload, settings, name, container, sent), mark=mark)


def _script(workload: Container, mark: str) -> str:
    patterns = "|".join(re.sub(r"[^\w*?\[\]!/.-]", r"\\\g<0>", pattern) for pattern in workload.artifacts)
    words = {
        "STDIN": ".codin/stdin" if workload.stdin else "/dev/null",
        "PATTERNS": patterns or "''",
        "MOST": str(MOST_BACK),
        "MARK": mark,
    }
    return re.sub("@([A-Z]+)@", lambda found: words[found[1]], _SHELL)


def _parts(job: Job) -> dict[str, bytes]:
    """The files as an archive in parts that fit into Secrets."""
    files = {**job.files, **({".codin/stdin": job.stdin} if job.stdin else {})}
    if not files:
        return {}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    data = gzip.compress(packed.getvalue(), 6, mtime=0)
    if len(data) > _MOST_SENT:
        raise ConfigError(
            f"what is sent along has {len(data)} bytes when packed, and a cluster takes {_MOST_SENT}",
            hint="put it into an image, or let the workload fetch it",
        )
    return {f"files.{at // _PART:03}": data[at : at + _PART] for at in range(0, len(data), _PART)}


def _plan(
    workload: Workload, settings: Settings, name: str, container: dict[str, Any], sent: Mapping[str, bytes]
) -> Plan:
    # One Secret for each part of the files: what is small goes with the first.
    parts = [key for key in sent if key.startswith("files.")]
    shares = [{key: sent[key] for key in sent if key not in parts[1:]}, *({key: sent[key]} for key in parts[1:])]
    labels = {"app.kubernetes.io/managed-by": "codin", "codin.workload": name, "codin.kind": workload.kind}
    secrets: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-{number}", "labels": labels},
            "data": {key: base64.b64encode(value).decode() for key, value in share.items()},
        }
        for number, share in enumerate(shares)
    ]
    volume = {"sources": [{"secret": {"name": secret["metadata"]["name"]}} for secret in secrets], "defaultMode": 0o444}
    pod = pod_base(workload.limits, settings)
    pod["volumes"].append({"name": "codin", "projected": volume})
    main = container_base(workload.limits)
    main["volumeMounts"].append({"name": "codin", "mountPath": "/codin", "readOnly": True})
    main["env"] += container.pop("env", [])
    pod["containers"] = [{**main, "name": "workload", "workingDir": "/box", **container}]
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": math.ceil(settings.keep),
            "template": {"metadata": {"labels": labels}, "spec": {**pod, "restartPolicy": "Never"}},
        },
    }
    if workload.limits.time is not None:
        # Only for when nobody is there any more to keep the time.
        job["spec"]["activeDeadlineSeconds"] = math.ceil(settings.start_within + workload.limits.time + 15)
    policy = _policy(name, labels) if "network" in settings.enforces and closed(workload) else None
    return Plan(name, job, secrets, policy, mark="", nonce="", plain="stdout", wrapped=False)


def closed(workload: Workload) -> bool:
    """Whether it is to have no network."""
    return workload.network == "none" and workload.kind != "endpoint"


def pod_base(limits: Limits, settings: Settings) -> dict[str, Any]:
    """What every pod has, whatever it runs."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": name, "emptyDir": {"sizeLimit": str(limits.disk)}} for name in ("box", "tmp")],
        **settings.pod,
    }


def container_base(limits: Limits) -> dict[str, Any]:
    """What every container has."""
    return {
        "resources": {"limits": resources(limits), "requests": resources(limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "env": [{"name": "HOME", "value": "/box"}, {"name": "TMPDIR", "value": "/tmp"}],
        "volumeMounts": [{"name": "box", "mountPath": "/box"}, {"name": "tmp", "mountPath": "/tmp"}],
    }


def resources(limits: Limits) -> dict[str, str]:
    """Limits in the words of Kubernetes; the log counts as storage too."""
    storage = limits.disk + 4 * limits.output + 2 * MOST_BACK
    cores = f"{max(1, round(limits.cpu * 1000))}m"
    return {"cpu": cores, "memory": str(limits.memory), "ephemeral-storage": str(storage)}


def sent_to(job: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """An object that goes when the Job goes."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}}


def _policy(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"podSelector": {"matchLabels": {"codin.workload": name}}, "policyTypes": ["Ingress", "Egress"]},
    }


def _from_secret(secret: str, number: int, key: str) -> dict[str, Any]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": f"env.{number}"}}}


def literal(text: str) -> str:
    """Text in which Kubernetes sees no variable."""
    return text.replace("$", "$$")
