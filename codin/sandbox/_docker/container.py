"""What a container is told to keep, from a policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from codin.errors import ConfigError
from codin.sandbox._protocol import MIB, Policy

__all__ = ["WORK", "WRITABLE", "container_config", "user_of"]

WRITABLE = "/tmp"
"""The only folder that can be written: a tmpfs, so that one bound holds for everything below it."""
WORK = f"{WRITABLE}/box"
_OURS = 2  # processes that are no command's: init and the warden
_GVISOR = 64  # threads of gVisor itself
_GVISOR_EACH = 8  # threads that it may have for a process inside, which is why this bound is a rough one
_SHARED = MIB  # /dev/shm, which every lock of multiprocessing needs

# Never killed, traced or reached by commands, because it is another user's: root, with no other right than to kill.
# Builtins of any sh only. Each line it reads is an order, or nothing; it answers with all processes, with
# how many the memory bound has killed, and whether an init can adopt processes here: not every gVisor can do that. It
# ends with its input, and with it the container.
_WARDEN = r"""
adopts=no
/sbin/docker-init -s -- /bin/sh -c : </dev/null >/dev/null 2>&1 && adopts=yes
while read -r order whom; do
  case $order in
    end) kill -9 -1 ;;
    halt) kill -STOP -1 ;;
    kill) kill -9 $whom; kill -CONT -1 ;;
  esac
  for folder in /proc/[0-9]*; do
    read -r line < $folder/stat && echo "process ${folder#/proc/} ${line##*) }"
  done
  for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    while read -r key count; do
      case $key in oom_kill) echo "short $count" ;; esac
    done < $file
  done
  echo "warden $$ $adopts"
done 2>/dev/null
"""

_NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_SHUT = " ".join(
    (
        # another process, and what it has
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
        # the file systems and the namespaces
        "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_by_handle_at open_tree pivot_root",
        "setns umount umount2 unshare",
        # the kernel's large and young doors
        "add_key bpf fanotify_init io_uring_enter io_uring_register io_uring_setup keyctl lookup_dcookie",
        "perf_event_open request_key userfaultfd",
        # the machine
        "acct adjtimex clock_adjtime clock_settime create_module delete_module finit_module init_module ioperm iopl",
        "kexec_file_load kexec_load mbind migrate_pages move_pages nfsservctl quotactl quotactl_fd reboot",
        "set_mempolicy settimeofday stime swapoff swapon syslog vhangup vm86 vm86old",
    )
).split()
_SHUT_FAMILIES = (38, 40)  # AF_ALG is the kernel's cryptography, AF_VSOCK leads to the hypervisor
_SHUT_REQUESTS = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX write what a terminal then reads
_ENOSYS = 38


def user_of(identity: int) -> str:
    """Who commands are: whoever we are, so that a writable mount is, and never root."""
    return f"{identity or 60001}:{identity or 60001}"


def container_config(
    policy: Policy, image: str, *, volumes: Iterable[str], labels: Mapping[str, str], runtime: str | None, gvisor: bool
) -> dict[str, Any]:
    """The body of the request that makes the container."""
    limits = policy.limits
    host: dict[str, Any] = {
        "AutoRemove": True,
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": ["KILL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={json.dumps(_seccomp())}"],
        "NetworkMode": "host" if policy.network == "full" else "none",
        "IpcMode": "private",
        "ShmSize": _shared(policy),
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": int(limits.cpu * 1e9),
        "PidsLimit": limits.processes * (_GVISOR_EACH if gvisor else 1) + (_GVISOR if gvisor else _OURS),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "LogConfig": {"Type": "none"},
        "Mounts": [_room(policy, labels), *_mounts(policy), *(_hidden(path) for path in volumes)],
    }
    if runtime is not None:
        host["Runtime"] = runtime
    return {
        "Image": image,
        "Entrypoint": ["/bin/sh", "-c", _WARDEN, "codin"],
        "Cmd": [],
        "User": "0:0",
        "WorkingDir": "/",
        "Hostname": "" if policy.network == "full" else "sandbox",
        "Healthcheck": {"Test": ["NONE"]},
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "Labels": dict(labels),
        "HostConfig": host,
    }


def _shared(policy: Policy) -> int:
    return max(1, min(_SHARED, policy.limits.disk // 8))  # for 0, Docker takes a size of its own


def _room(policy: Policy, labels: Mapping[str, str]) -> dict[str, Any]:
    size = max(1, policy.limits.disk - _shared(policy))
    options = f"size={size},nr_inodes={policy.limits.files + 2},mode=1777,nosuid,nodev"
    driver = {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": options}}
    volume = {"NoCopy": True, "Labels": dict(labels), "DriverConfig": driver}
    return {"Type": "volume", "Target": WRITABLE, "VolumeOptions": volume}


def _mounts(policy: Policy) -> list[dict[str, Any]]:
    for mount in policy.mounts:
        if mount.place in (WRITABLE, WORK):
            raise ConfigError(
                f"target={mount.place!r} is a place of the docker sandbox's own, onto which nothing is mounted",
                hint=f"those are {WRITABLE} and {WORK}; below them there is room",
            )
    return [
        {
            "Type": "bind",
            "Source": str(mount.source.absolute()),
            "Target": mount.place,
            "ReadOnly": not mount.writable,
        }
        for mount in policy.mounts
    ]


def _hidden(path: str) -> dict[str, Any]:
    # A volume that an image asks for would be a folder on the daemon's disk, without any bound.
    return {"Type": "tmpfs", "Target": path, "ReadOnly": True}


def _seccomp() -> dict[str, Any]:
    """Everything but the dangerous doors; what needs a privilege is shut by having none."""
    shut: list[dict[str, Any]] = [
        {"names": _SHUT, "action": "SCMP_ACT_ERRNO"},
        # Its flags lie in memory, where no filter sees them; libraries then take clone.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    shut += [_shut_where("clone", 0, flag, masked=flag) for flag in _NAMESPACES]
    shut += [_shut_where("socket", 0, family) for family in _SHUT_FAMILIES]
    shut += [_shut_where("ioctl", 1, request, masked=0xFFFFFFFF) for request in _SHUT_REQUESTS]
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": shut}


def _shut_where(name: str, index: int, value: int, *, masked: int | None = None) -> dict[str, Any]:
    if masked is None:
        argument = {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    else:
        argument = {"index": index, "value": masked, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "args": [argument]}
