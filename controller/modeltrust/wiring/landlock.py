"""Landlock: which files a process that parses foreign bytes may still read, and where it may connect to (attack C5).

A worker and its children are one user, so file permissions keep nothing from a child that was taken over: the key of the worker's
certificate, the order of a Job, a socket of the node. The kernel does (landlock(7), ABI 1 from Linux 5.13; TCP ports from 6.7).
Through ``ctypes``: there is no wrapper.
"""

import contextlib
import ctypes
import errno
import os
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # one number on every architecture (asm-generic/unistd.h)
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH, _PORT = 1, 2  # LANDLOCK_RULE_PATH_BENEATH, LANDLOCK_RULE_NET_PORT
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 1, 1 << 7, 1 << 8
_FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}  # from this ABI on every right below is known
_PORTS_ABI, _BIND, _CONNECT = 4, 1, 2
_PORTS = range(1 << 16)
_DNS = 53  # over TCP where an answer is long
_SCOPE_ABI, _SCOPES = 6, 3  # abstract sockets and signals of others
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/dev/null", "/dev/urandom"),
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/localtime"),
)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi() -> int:
    """What the kernel knows of it; 0 where it has none, or where it is turned off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def readable(more: Iterable[Path] = ()) -> tuple[Path, ...]:
    """What an examination reads: its own program, authorities, how names are resolved; whatever else is asked for."""
    own = Path(__file__).parent.parent.parent
    authorities = ssl.get_default_verify_paths()
    named = (authorities.cafile, authorities.capath, authorities.openssl_cafile, authorities.openssl_capath)
    texts = (*_SYSTEM, sys.prefix, sys.base_prefix, *filter(os.path.isabs, sys.path), *filter(None, named))
    return tuple(dict.fromkeys((own, *map(Path, texts), *more)))


def keeps_ports() -> bool:
    """Whether the kernel can keep connections to all TCP ports but some from us."""
    return abi() >= _PORTS_ABI


def restrict(paths: Iterable[Path], *, writes: Iterable[Path] = (), connects: Iterable[int] | None = None) -> bool:
    """From now on this process reads below these paths alone, and runs and listens nowhere; for good.

    Args:
        paths: folders and files that may be read; those that are missing, or closed to us anyway, are left out.
        writes: folders that may be read, and in which files and folders may be made.
        connects: TCP ports that may be connected to, and those of name servers; None for all of them. Where ``keeps_ports`` is
            False the kernel knows nothing of ports, and all of them stay open.

    Returns:
        Whether the kernel does it; False where it knows no Landlock.

    Raises:
        OSError: it knows Landlock and refuses, or other threads run: it would not hold for them.
    """
    version = abi()
    if version == 0:
        return False
    if len([*Path("/proc/self/task").iterdir()]) != 1:  # Python's own and those of libraries; what they start later is held
        raise OSError(errno.EBUSY, "landlock holds one thread, and others run")
    files = max(right for since, right in _FILES.items() if since <= version)
    network = 0 if version < _PORTS_ABI else _BIND if connects is None else _BIND | _CONNECT
    handled = _Ruleset(files - 1, network, _SCOPES if version >= _SCOPE_ABI else 0)
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _PORTS_ABI else 8
    ruleset = _call(_CREATE, ctypes.byref(handled), ctypes.c_size_t(size), 0)
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in writes:
            _allow(ruleset, path, _READ_FILE | _READ_DIR | _WRITE_FILE | _MAKE_DIR | _MAKE_FILE)
        if network & _CONNECT:
            for port in {_DNS, *(connects or ())} & {*_PORTS}:
                _call(_ADD, ruleset, _PORT, ctypes.byref(_Port(_CONNECT, port)), 0)
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        usable = rights if path.is_dir() else rights & (_READ_FILE | _WRITE_FILE)
        _call(_ADD, ruleset, _BENEATH, ctypes.byref(_Beneath(usable, opened)), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock is refused")
    return result
