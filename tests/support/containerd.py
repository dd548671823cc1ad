"""containerd's own unpacking of layers, as the oracle of ours (tests/tools/unpack)."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import tools

LINK, SPECIAL = "link", "special"


def naive(folder: Path, layers: Sequence[bytes]) -> dict[str, bytes | str] | None:
    """What it makes of the layers in one folder, as on any filesystem; None where it refuses."""
    root = folder / "naive"
    return _tree(root) if _unpack("naive", root, folder, layers) else None


def overlay(folder: Path, layers: Sequence[bytes]) -> dict[str, bytes | str] | None:
    """What a mount of the layers shows that it unpacks one by one, as it does with its overlay snapshotter; None where it refuses.

    Raises:
        PermissionError: this machine mounts nothing.
    """
    root = folder / "upper"
    if not _unpack("upper", root, folder, layers):
        return None
    lower = [str(root / str(number)) for number in reversed(range(len(layers)))]
    (folder / "empty").mkdir()
    with _mounted(folder / "merged", ":".join([*lower, str(folder / "empty")])) as merged:
        return _tree(merged)


def _unpack(how: str, root: Path, folder: Path, layers: Sequence[bytes]) -> bool:
    names = []
    for number, layer in enumerate(layers):
        (folder / f"{how}-{number}.tar").write_bytes(layer)
        names.append(str(folder / f"{how}-{number}.tar"))
    root.mkdir()
    done = subprocess.run([str(tools.program("unpack")), how, str(root), *names], check=False, capture_output=True)
    assert done.returncode in {0, 3}, done.stderr
    return done.returncode == 0


@contextlib.contextmanager
def _mounted(place: Path, lower: str) -> Iterator[Path]:
    place.mkdir()
    options = ["-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", str(place)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        raise PermissionError("overlay filesystems cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _tree(root: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for folder, folders, files in os.walk(root):
        for name in (*files, *folders):
            path = Path(folder) / name
            relative = str(path.relative_to(root))
            if path.is_symlink():
                found[relative] = LINK
            elif path.is_file():
                found[relative] = path.read_bytes()
            elif not path.is_dir() and os.path.lexists(path):  # a whiteout of nothing has a name there that leads nowhere
                found[relative] = SPECIAL
    return found
