"""A seccomp filter: what a process that parses foreign bytes may no longer ask of the kernel (attack C5).

Threads may be started (urllib3's deadlines are some), processes and programs may not: a forked child in a session of its own would
outlive the group that is killed at the deadline. Nor may it look into others, or use what would pass the filter by (io_uring).
Sockets are those of TCP, UDP and routes. Landlock's ports hold TCP alone, and only where it is asked to connect: MPTCP would pass
by them, which falls back to TCP, and so would data that opens a connection, or a socket of the node, whose path is not read.
"""

import ctypes
import errno
import platform
import struct
import sys

_SET_MODE_FILTER = 1
_ALL_THREADS = 1  # SECCOMP_FILTER_FLAG_TSYNC
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, JSET, JGE, BPF_RET|K
_NUMBER, _ARCHITECTURE, _FIRST, _THIRD, _FOURTH = 0, 4, 16, 32, 40  # offsets in struct seccomp_data; of arguments the low halves
_DOMAINS, _PROTOCOLS = (2, 10, 16), (0, 6, 17)  # AF_INET, AF_INET6, AF_NETLINK; none stated, TCP, UDP
_THREAD = 0x10000  # CLONE_THREAD
_X32 = 0x40000000  # the same calls under other numbers
_CLONE3, _IO_URING = 435, (425, 426, 427)

_FAST_OPEN = 0x20000000  # MSG_FASTOPEN: connects, and Landlock is not asked

# linux/audit.h, and the calls' numbers: seccomp, clone, socket, then sendto, sendmsg and sendmmsg, then those that are refused.
# fork vfork execve execveat ptrace setsid setpgid process_vm_readv process_vm_writev unshare setns mount keyctl add_key bpf
# perf_event_open userfaultfd pidfd_getfd
_MACHINES = {
    "x86_64": (
        0xC000003E,
        317,
        56,
        41,
        (44, 46, 307),
        (57, 58, 59, 322, 101, 112, 109, 310, 311, 272, 308, 165, 250, 248, 321, 298, 323, 438),
    ),
    "aarch64": (
        0xC00000B7,
        277,
        220,
        198,
        (206, 211, 269),
        (221, 281, 117, 157, 154, 270, 271, 97, 268, 40, 219, 217, 280, 241, 282, 438),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def known() -> bool:
    """Whether we have the numbers of this machine."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def restrict() -> bool:
    """Give up starting processes, for good; ``no_new_privs`` must be set.

    Returns:
        Whether the kernel does it; False on machines that we have no numbers for, and where it has no filters.
    """
    machine = _MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if machine is None:
        return False
    architecture, seccomp, clone, sockets, sends, refused = machine
    code = _compiled(architecture, clone, _networking(sockets, sends), (*refused, *_IO_URING))
    program = _Program(len(code) // 8, code)
    result = ctypes.CDLL(None, use_errno=True).syscall(seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    return int(result) == 0


def _compiled(architecture: int, clone: int, networking: list[bytes], refused: tuple[int, ...]) -> bytes:
    no = _step(_RETURN, _ERRNO | errno.EPERM)
    steps = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, yes=1), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    steps += [_step(_AT_LEAST, _X32, no=1), no]
    # glibc then uses clone, whose flags can be read here
    steps += [_step(_EQUAL, _CLONE3, no=1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    for number in refused:
        steps += [_step(_EQUAL, number, no=1), no]
    steps += networking
    steps += [_step(_EQUAL, clone, no=3), _step(_LOAD, _FIRST), _step(_SET, _THREAD, yes=1), no]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _networking(sockets: int, sends: tuple[int, int, int]) -> list[bytes]:
    made = [*_one_of(_FIRST, _DOMAINS), *_one_of(_THIRD, _PROTOCOLS), _step(_RETURN, _ALLOW)]
    steps = [_step(_EQUAL, sockets, no=len(made)), *made]
    for number, flags in zip(sends, (_FOURTH, _THIRD, _FOURTH), strict=True):
        sent = [_step(_LOAD, flags), _step(_SET, _FAST_OPEN, no=1), _step(_RETURN, _ERRNO | errno.EPERM), _step(_RETURN, _ALLOW)]
        steps += [_step(_EQUAL, number, no=len(sent)), *sent]
    return steps


def _one_of(offset: int, values: tuple[int, ...]) -> list[bytes]:
    """Refuse the call unless this argument is one of these."""
    last = len(values)
    tests = [_step(_EQUAL, value, yes=last - place) for place, value in enumerate(values)]
    return [_step(_LOAD, offset), *tests, _step(_RETURN, _ERRNO | errno.EPERM)]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One ``struct sock_filter``; ``yes`` and ``no`` are how many steps a comparison skips."""
    return struct.pack("=HBBI", code, yes, no, value)
