"""Unpack the Debian packages of debian.txt into a folder: `python tests/servers/unpack.py FOLDER`. Needs no root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Fetch and unpack; without apt nothing is done, and the tests that need a server say so."""
    folder = Path(sys.argv[1]).resolve()
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        print("no apt: the tests with servers from Debian's packages are left out", file=sys.stderr)
        return 0
    lines = Path(__file__).with_name("debian.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    with tempfile.TemporaryDirectory() as place:
        # apt fetches as a user of its own, who has to be let in.
        Path(place).chmod(0o777)
        if not _fetched(packages, place):
            print("apt knows not all packages: bringing its lists up to date", file=sys.stderr)
            subprocess.run(["apt-get", "update", "-qq"], check=False)
            if not _fetched(packages, place):
                print(f"apt-get download fails for: {' '.join(packages)}", file=sys.stderr)
                return 1
        folder.mkdir(parents=True, exist_ok=True)
        for package in sorted(Path(place).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return 0


def _fetched(packages: list[str], place: str) -> bool:
    return subprocess.run(["apt-get", "download", "-qq", *packages], cwd=place, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
