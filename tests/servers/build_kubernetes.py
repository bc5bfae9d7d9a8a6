"""Build Kubernetes' control plane from Debian's source: `python tests/servers/build_kubernetes.py FOLDER`.

Fetches the source package of Debian 12 and a compiler of Go; the build itself needs no network. It takes ten minutes on
an idle machine of two cores, and some gigabytes of disk until it has ended. What is there already is not made again.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
_SOURCE = "deb-src http://deb.debian.org/debian bookworm main\n"
_BINARIES = "deb http://deb.debian.org/debian bookworm main\n"
_TOOLS = ("golang-1.19-go", "golang-1.19-src", "rsync", "libpopt0")


def main() -> int:
    """Fetch, unpack, build; 0 when the programs are there."""
    folder = Path(sys.argv[1]).resolve()
    if all((folder / program).exists() for program in PROGRAMS):
        return 0
    if shutil.which("apt-get") is None or shutil.which("dpkg-source") is None:
        print("no apt, or no dpkg-dev: the tests with a cluster are left out", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="codin-kubernetes-build-", dir="/var/tmp") as place:
        root = Path(place)
        root.chmod(0o755)
        _fetch(root)
        built = _build(root)
        folder.mkdir(parents=True, exist_ok=True)
        for program in PROGRAMS:
            shutil.copy2(built / program, folder / program)
    return 0


def _fetch(root: Path) -> None:
    """The source and the tools, by lists of packages of our own, so that the machine's stay as they are."""
    (root / "lists" / "partial").mkdir(parents=True)
    (root / "sources.list").write_text(_SOURCE + _BINARIES)
    own = [
        f"Dir::Etc::sourcelist={root}/sources.list",
        "Dir::Etc::sourceparts=/dev/null",
        f"Dir::State::lists={root}/lists",
    ]
    apt = ["apt-get", "-qq", *(part for option in own for part in ("-o", option))]
    _run([*apt, "update"], root)
    _run([*apt, "source", "--download-only", "kubernetes"], root)
    _run([*apt, "download", *(f"{tool}/bookworm" for tool in _TOOLS)], root)
    for package in root.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(root / "tools")], root)


def _build(root: Path) -> Path:
    """The folder of the programs."""
    tree = root / "kubernetes"
    (source,) = root.glob("kubernetes_*.dsc")
    # Unpacking applies Debian's patches.
    _run(["dpkg-source", "--no-check", "-x", str(source), str(tree)], root)
    home = tree / ".go" / "src" / "k8s.io"
    home.mkdir(parents=True)
    (home / "kubernetes").symlink_to(tree)
    tools = root / "tools" / "usr"
    env = {
        **os.environ,
        "PATH": f"{tools}/lib/go-1.19/bin:{tools}/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{tools}/lib/{platform.machine()}-linux-gnu",
        "GOROOT": str(tools / "lib/go-1.19"),
        "GOPATH": str(tree / ".go"),
        "GOCACHE": str(root / "cache"),
        "GO111MODULE": "off",
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
    }
    what = " ".join(f"cmd/{program}" for program in PROGRAMS)
    _run(["nice", "-n", "19", "make", f"WHAT={what}"], home / "kubernetes", env)
    (programs,) = (tree / "_output/local/bin/linux").iterdir()
    return programs


def _run(command: list[str], where: Path, env: dict[str, str] | None = None) -> None:
    # A shell's working folder keeps the link in its name, which Go's search for packages goes by.
    subprocess.run(command, cwd=where, env={**(env or os.environ), "PWD": str(where)}, check=True)


if __name__ == "__main__":
    sys.exit(main())
