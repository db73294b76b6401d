"""A system-call filter for the sandbox, as the classic BPF program that `bwrap --seccomp` loads.

Namespaces leave the kernel's whole surface open, and some sockets (AF_VSOCK to the hypervisor) know no network
namespace. This filter refuses what a Python program has no need of: every socket that is not AF_UNIX, tracing,
mounts and namespaces, BPF, keyrings, kernel modules, memory outside the limits (memfd, System V). Numbers:
Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct

from tasks.grade.code.verdict import IsolationError

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_AT_NUMBER, _AT_ARCH, _AT_FIRST_ARGUMENT = 0, 4, 16
FIRST_UNIFIED = 424
"""From here on numbers are the same everywhere; newer calls look absent (ENOSYS) unless listed below."""
_ALLOWED_UNIFIED = {"close_range": 436, "openat2": 437, "faccessat2": 439, "epoll_pwait2": 441}

# name: (x86_64, aarch64); None = the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_setup": (206, 0),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vmsplice": (278, 75),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
_MACHINES = {"x86_64": (0, 0xC000003E, 41), "aarch64": (1, 0xC00000B7, 198)}


def build_filter(machine: str = "") -> bytes:
    """The filter for a machine (default: this one). IsolationError for an architecture without a table."""
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        raise IsolationError(f"no system-call table for {machine}: only {', '.join(_MACHINES)} are supported")
    column, architecture, socket_number = _MACHINES[machine]
    denied = [number for number in (numbers[column] for numbers in DENIED.values()) if number is not None]
    program = [
        _instruction(_LOAD, _AT_ARCH),
        _instruction(_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD, _AT_NUMBER),
    ]
    for number in _ALLOWED_UNIFIED.values():
        program += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    program += [_instruction(_AT_LEAST, FIRST_UNIFIED, 0, 1), _instruction(_RETURN, _ERRNO | errno.ENOSYS)]
    for number in denied:
        program += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ERRNO | errno.EPERM)]
    program += [
        _instruction(_EQUAL, socket_number, 0, 3),
        _instruction(_LOAD, _AT_FIRST_ARGUMENT),
        _instruction(_EQUAL, socket.AF_UNIX, 1, 0),
        _instruction(_RETURN, _ERRNO | errno.EPERM),
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One `struct sock_filter`: jumps count the instructions to skip."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
