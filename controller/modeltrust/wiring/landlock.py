"""Landlock: which files a process that parses foreign bytes may still read (attack C5). Through ``ctypes``: there is no wrapper.

A worker and its children are one user, so file permissions keep nothing from a child that was taken over: the key of the worker's
certificate, the order of a Job, a socket of the node. The kernel does (landlock(7), ABI 1 from Linux 5.13).
"""

import contextlib
import ctypes
import os
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # one number on every architecture (asm-generic/unistd.h)
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}  # from this ABI on every right below is known
_BIND_ABI, _BIND = 4, 1
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


def restrict(paths: Iterable[Path]) -> bool:
    """From now on this thread, and what it starts, reads below these paths alone, writes, runs and listens nowhere; for good.

    Args:
        paths: folders and files; those that are missing, or closed to us anyway, are left out.

    Returns:
        Whether the kernel does it; False where it knows no Landlock.

    Raises:
        OSError: it knows Landlock and refuses.
    """
    version = abi()
    if version == 0:
        return False
    files = max(right for since, right in _FILES.items() if since <= version)
    handled = _Ruleset(files - 1, _BIND if version >= _BIND_ABI else 0, _SCOPES if version >= _SCOPE_ABI else 0)
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _BIND_ABI else 8
    ruleset = _call(_CREATE, ctypes.byref(handled), ctypes.c_size_t(size), 0)
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path)
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        _call(_ADD, ruleset, _BENEATH, ctypes.byref(_Beneath(rights, opened)), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock is refused")
    return result
