"""A real control plane of Kubernetes for the tests: etcd, API server, controllers, scheduler; and a node of ours."""

from __future__ import annotations

import base64
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.servers.kubernetes_node import Node

__all__ = ["Cluster", "why_not"]

SERVERS = Path(os.environ.get("CODIN_SERVERS") or Path.home() / ".cache" / "codin-servers")
PROGRAMS = SERVERS / "kubernetes"
_PREFIX = "codin-kubernetes-"
_PATIENCE = 120.0
_TOKENS = {"admin": "system:masters", "nobody": ""}


def why_not() -> str | None:
    """Why no cluster can be started here, and what to do; None when one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a node of the tests' own needs root on Linux"
    if not (SERVERS / "usr/bin/etcd").exists():
        return f"no etcd below {SERVERS}: python tests/servers/unpack.py {SERVERS}, and set CODIN_SERVERS to it"
    if not (PROGRAMS / "kube-apiserver").exists():
        return f"no Kubernetes in {PROGRAMS}: python tests/servers/build_kubernetes.py {PROGRAMS} (takes a while)"
    return None


class Cluster:
    """Start it, take its API server away, bring it back; `stop` leaves nothing of it."""

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self._etcd, self._peer, self.port = _ports(3)
        self._api: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self.node: Node

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """That of somebody who may do everything."""
        return self.folder / "admin.conf"

    @property
    def poor(self) -> Path:
        """That of somebody who may do nothing."""
        return self.folder / "nobody.conf"

    def start(self) -> None:
        """Start everything, and wait until pods can be run."""
        try:
            self._prepare()
            where = f"http://127.0.0.1:{self._etcd}"
            peer = f"http://127.0.0.1:{self._peer}"
            data = ["--data-dir", str(self.folder / "etcd"), "--listen-client-urls", where]
            ring = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            ring += ["--initial-cluster", f"default={peer}", "--advertise-client-urls", where]
            self._others.append(self._begin("etcd", [str(SERVERS / "usr/bin/etcd"), *data, *ring]))
            self.begin_api()
            self.wait_for_api()
            alone = ["--leader-elect=false", "--port=0", "--secure-port=0"]
            for name in ("controller-manager", "scheduler"):
                program = [
                    str(PROGRAMS / f"kube-{name}"),
                    "--kubeconfig",
                    str(self.kubeconfig),
                ]
                more = ["--feature-gates=TTLAfterFinished=true"] if name == "controller-manager" else []
                self._others.append(self._begin(name, [*program, *alone, *more]))
            certificate = (self.folder / "node.crt", self.folder / "node.key")
            self.node = Node(self.server, "admin", self.folder, certificate)
            self.node.start()
            self._wait("the node is not ready", self._has_node)
        except BaseException:
            self.stop()
            raise

    def begin_api(self) -> None:
        """Start the API server. It ends with the thread that calls this."""
        keys = self.folder / "node.key"
        accounts = [f"--service-account-key-file={keys}", f"--service-account-signing-key-file={keys}"]
        accounts += ["--service-account-issuer=https://tests.invalid", "--disable-admission-plugins=ServiceAccount"]
        certificate = [f"--tls-cert-file={self.folder}/node.crt", f"--tls-private-key-file={keys}"]
        who = [f"--token-auth-file={self.folder}/tokens.csv", "--authorization-mode=RBAC", "--anonymous-auth=false"]
        where = [
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--etcd-servers=http://127.0.0.1:{self._etcd}",
        ]
        more = ["--kubelet-preferred-address-types=InternalIP", "--feature-gates=TTLAfterFinished=true"]
        more += ["--service-cluster-ip-range=10.96.0.0/16", "--max-requests-inflight=4000", f"--cert-dir={self.folder}"]
        self._api = self._begin(
            "apiserver", [str(PROGRAMS / "kube-apiserver"), *accounts, *certificate, *who, *where, *more]
        )

    def wait_for_api(self) -> None:
        self._wait("the API server does not answer", lambda: self.ask("GET", "/readyz") is not None)

    def stop_api(self) -> None:
        """Take the API server away, at once."""
        if self._api is not None:
            self._api.kill()
            self._api.wait()
            self._api = None

    def stop(self) -> None:
        if hasattr(self, "node"):
            self.node.stop()
        self.stop_api()
        for process in reversed(self._others):
            process.kill()
            process.wait()
        self._others.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the API server answers to an administrator; None when it has no such thing."""
        data = None if body is None else json.dumps(body).encode()
        kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": "Bearer admin", "Content-Type": kind}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        context = ssl.create_default_context(cafile=str(self.folder / "node.crt"))
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise RuntimeError(f"{error.code}: {error.read().decode()[:500]}") from None
        return json.loads(said) if said[:1] == b"{" else said.decode()

    def names(self, what: str, group: str = "/api/v1") -> list[str]:
        """The names of all objects of a kind in the namespace `default`."""
        return [one["metadata"]["name"] for one in self.ask("GET", f"{group}/namespaces/default/{what}")["items"]]

    def left(self) -> list[str]:
        """What workloads have left in the namespace, once the cluster had its time to collect."""
        deadline = time.monotonic() + 60
        while found := self._left():
            if time.monotonic() > deadline:
                return found
            time.sleep(0.1)
        return []

    def _left(self) -> list[str]:
        groups = {"pods": "/api/v1", "secrets": "/api/v1", "jobs": "/apis/batch/v1"}
        groups |= {"deployments": "/apis/apps/v1", "networkpolicies": "/apis/networking.k8s.io/v1"}
        found = [f"{what}/{name}" for what, group in groups.items() for name in self.names(what, group)]
        return [name for name in found if "token" not in name]

    def _has_node(self) -> bool:
        told = self.ask("GET", "/api/v1/nodes/node")
        return (
            told is not None
            and not told["spec"].get("taints")
            and self.ask("GET", "/api/v1/namespaces/default") is not None
        )

    def _begin(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            # The kernel ends it when whoever started it dies.
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self, otherwise: str, condition: Any) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for process in [*self._others, self._api]:
                if process is not None and process.poll() is not None:
                    break
            try:
                if condition():
                    return
            except (OSError, RuntimeError):
                pass
            time.sleep(0.05)
        logs = "\n".join(log.read_text(errors="replace")[-1500:] for log in self.folder.glob("*.log"))
        raise RuntimeError(f"{otherwise}:\n{logs}")

    def _prepare(self) -> None:
        """Keys, tokens, and a kubeconfig for everybody."""
        _certificate(self.folder / "node.crt", self.folder / "node.key")
        lines = [f'{name},{name},{name},"{group}"' for name, group in _TOKENS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")
        authority = base64.b64encode((self.folder / "node.crt").read_bytes()).decode()
        for name in _TOKENS:
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": "c", "cluster": {"server": self.server, "certificate-authority-data": authority}}
                ],
                "users": [{"name": "u", "user": {"token": name}}],
                "contexts": [{"name": "tests", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "tests",
            }
            (self.folder / f"{name}.conf").write_text(json.dumps(config))


def _certificate(certificate: Path, key: Path) -> None:
    """A certificate for this machine that is its own authority."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    local = x509.IPAddress(ip_address("127.0.0.1"))
    uses = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True, "key_encipherment": True}
    not_used = ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    public = private.public_key()
    made = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([local, x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**uses, **dict.fromkeys(not_used, False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    encoded = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    key.write_bytes(encoded)


def _ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _sweep() -> None:
    """Take away what the clusters of tests that were killed have left."""
    for folder in Path("/var/tmp").glob(f"{_PREFIX}[0-9]*"):
        if not Path(f"/proc/{folder.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
            shutil.rmtree(folder, ignore_errors=True)
