"""What the layers of an image make together: the files that a container of it sees.

Source: OCI image specification 1.1, layer.md ("Applying Changesets", "Whiteouts"), as containerd applies it (pkg/archive/tar.go):
its way for any filesystem and its way straight into the upper folder of an overlay mount give different files for odd layers, and
so do Docker's and CRI-O's. Where they part, the image is refused: an entry behind a symbolic link, two entries for one path, a
layer that removes what it also brings, a hard link into another layer, a whiteout that is no empty file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.listing import FileKind
from modeltrust.sources.layers import Content, Unpacked
from modeltrust.sources.tar_members import Member, MemberKind

_WHITEOUT, _META, _OPAQUE = ".wh.", ".wh..wh.", ".wh..wh..opq"


@dataclass(slots=True)
class Folder:
    """A folder.

    Attributes:
        children: by name.
    """

    children: "dict[str, Node]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Other:
    """What is neither file nor folder.

    Attributes:
        kind: link or device.
    """

    kind: FileKind


Node: TypeAlias = Folder | Content | Other


@dataclass(slots=True)
class _Changes:
    """What the layer that is being applied has said so far, by path."""

    added: dict[str, MemberKind] = field(default_factory=dict)
    above: set[str] = field(default_factory=set)  # folders with something added below
    touched: set[str] = field(default_factory=set)  # those, and folders with something removed below
    removed: set[str] = field(default_factory=set)


class LayerTree:
    """The files of an image, layer by layer.

    Attributes:
        root: of everything.
    """

    def __init__(self) -> None:
        self.root = Folder()
        self._entries = 0

    def apply(self, layer: Unpacked) -> None:
        """The next layer, on top of those before.

        Raises:
            MalformedError: runtimes would not agree about what it makes.
            LimitExceededError: too many entries and folders, those of a layer that comes twice included.
        """
        changes = _Changes()
        for member, content in layer.entries:
            self._count()
            if member.path:
                self._apply(member, content, changes)
            elif member.kind is not MemberKind.FOLDER:
                raise MalformedError(f"got a {member.kind.value} in place of the root of an image")

    def _apply(self, member: Member, content: Content | None, changes: _Changes) -> None:
        parent, _, name = member.path.rpartition("/")
        parents = parent.split("/") if parent else []
        if any(part.startswith(_WHITEOUT) for part in parents):
            raise _refused(member, "lies in a folder that is named as a whiteout")
        folder = self._parent(member, parents)
        if name.startswith(_WHITEOUT):
            _remove(member, folder, parent, name, changes)
            return
        _check_removed(member, changes)
        self._add(member, content, folder, changes)
        _note(member, changes)

    def _parent(self, member: Member, parents: list[str]) -> Folder:
        """The folder that holds an entry, made where it is missing."""
        folder = self.root
        for part in parents:
            found = folder.children.get(part)
            if found is None:
                self._count()  # one entry may make as many as its path has parts
                found = folder.children[part] = Folder()
            if not isinstance(found, Folder):
                what = found.kind.value if isinstance(found, Other) else "file"
                raise _refused(member, f"lies behind {part}, which is a {what}; runtimes put it in different places")
            folder = found
        return folder

    def _add(self, member: Member, content: Content | None, folder: Folder, changes: _Changes) -> None:
        path, name = member.path, member.path.rpartition("/")[2]
        before = changes.added.get(path, MemberKind.FOLDER if path in changes.touched else None)
        if before is not None and not (before is member.kind is MemberKind.FOLDER):
            raise _refused(member, "is there twice in one layer")
        if member.kind is MemberKind.FOLDER:
            if not isinstance(folder.children.get(name), Folder):
                folder.children[name] = Folder()
            return
        if member.kind is MemberKind.HARDLINK:
            content = self._target(member, changes)
        node = content if content is not None else Other(_OTHERS[member.kind])
        folder.children[name] = node

    def _count(self) -> None:
        self._entries += 1
        if self._entries > limits.OCI_ENTRIES:
            raise LimitExceededError(f"got layers with more than {limits.OCI_ENTRIES} entries and folders")

    def _target(self, member: Member, changes: _Changes) -> Content:
        if changes.added.get(member.link) not in {MemberKind.FILE, MemberKind.HARDLINK}:
            raise _refused(member, f"is a hard link to {quote(member.link)}, which is no file of the same layer")
        node: Node | None = self.root
        for part in member.link.split("/"):
            node = node.children.get(part) if isinstance(node, Folder) else None
        if not isinstance(node, Content):
            raise _refused(member, f"is a hard link to {quote(member.link)}, which is no file of the same layer")
        return node


_OTHERS = {MemberKind.SYMLINK: FileKind.SYMLINK, MemberKind.SPECIAL: FileKind.SPECIAL}


def _remove(member: Member, folder: Folder, parent: str, name: str, changes: _Changes) -> None:
    if member.kind is not MemberKind.FILE or member.size:
        raise _refused(
            member, f"is named as a whiteout and is a {member.kind.value} of {member.size} bytes, expected an empty file"
        )
    _check_removed(member, changes)
    changes.touched.update(_above(member.path))
    if name == _OPAQUE:
        # later, it would remove what this layer brought, for some; at the top, some mounts do not see it at all
        if not parent or parent in changes.above:
            raise _refused(member, "empties the top of the image or comes after what its layer puts there")
        folder.children.clear()
        changes.added.setdefault(parent, MemberKind.FOLDER)
        return
    target = name.removeprefix(_WHITEOUT)
    if name.startswith(_META) or target in {"", ".", ".."}:
        raise _refused(member, "is no whiteout that every runtime knows")
    path = f"{parent}/{target}" if parent else target
    if path in changes.added or path in changes.touched:
        raise _refused(member, f"removes {quote(path)}, which the same layer brings")
    folder.children.pop(target, None)
    changes.removed.add(path)


def _check_removed(member: Member, changes: _Changes) -> None:
    if any(path in changes.removed for path in (member.path, *_above(member.path))):
        raise _refused(member, "is removed and brought by one layer")


def _note(member: Member, changes: _Changes) -> None:
    changes.added[member.path] = member.kind
    changes.above.update(_above(member.path))
    changes.touched.update(_above(member.path))


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _refused(member: Member, why: str) -> MalformedError:
    return MalformedError(f"got a layer in which {quote(member.path)} {why}")
