"""The model in a package of layers that each add files: KitOps ModelKits and CNCF ModelPacks.

Source: KitOps ``pkg/cmd/unpack`` (files and folders only, nothing twice), modctl ``pkg/archiver`` (skips what is neither,
overwrites). Unpackers differ about links, about a path that comes twice and about a file in the way of a folder; each is refused.
"""

from dataclasses import dataclass, field
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import check_path
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.listing import FileKind
from modeltrust.sources.inflate import Compression
from modeltrust.sources.layer_tree import Other
from modeltrust.sources.layers import Content, Layer, Layers
from modeltrust.sources.layouts import kit_layer, pack_layer
from modeltrust.sources.manifests import PATH_ANNOTATIONS, PLAIN_TAR, Descriptor, Manifest, kind_of, path_of, structure
from modeltrust.sources.tar_members import Member, MemberKind

_KITFILE = "Kitfile"  # kit writes its own there
_WHITEOUT = ".wh."
_LISTS = {"code": "code", "dataset": "datasets", "docs": "docs"}


@dataclass(slots=True)
class _Union:
    """Files of several layers.

    Attributes:
        files: by path.
        folders: every path that something lies below, or that is a folder itself.
    """

    files: dict[str, Content | Other] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def add(self, member: Member, content: Content | Other | None) -> None:
        path = member.path
        if not path:
            return
        if any(part.startswith(_WHITEOUT) for part in path.split("/")):
            raise MalformedError(f"got {quote(path)} in a package, which removes a file for some who unpack it")
        for folder in _above(path):
            self._folder(folder)
        if member.kind is MemberKind.FOLDER:
            self._folder(path)
            return
        if content is None:
            raise MalformedError(f"got {member.kind.value} {quote(path)} in a package, expected files and folders only")
        if path in self.files or path in self.folders:
            raise MalformedError(f"got {quote(path)} twice in a package: who unpacks it keeps one or the other")
        if len(self.files) >= limits.FILES:
            raise LimitExceededError(f"got a package of more than {limits.FILES} files")
        self.files[path] = content

    def _folder(self, path: str) -> None:
        if path in self.files:
            raise MalformedError(f"got {quote(path)} as a file and as a folder in a package")
        self.folders.add(path)
        if len(self.folders) > limits.OCI_ENTRIES:
            raise LimitExceededError(f"got a package with more than {limits.OCI_ENTRIES} folders")


def kit_files(manifest: Manifest, config: bytes, layers: Layers) -> dict[str, Content | Other]:
    """The files of a ModelKit, as ``kit unpack`` writes them, without the Kitfile that it adds.

    Raises:
        MalformedError: the kit builds on another one, is of a form before layers had digests in it, or who unpacks it may differ.
        UnavailableError: the registry does not answer, or with other bytes.
        LimitExceededError: too much in it.
    """
    stated = _stated(structure(strict_json.loads(config, max_bytes=limits.OCI_MANIFEST_BYTES), "a ModelKit's configuration"))
    union = _Union()
    for descriptor in manifest.layers:
        part, layer = kit_layer(descriptor)
        queue = stated[part]
        if not queue or queue.pop(0) != descriptor.digest:
            raise MalformedError(f"got a {part} layer that the ModelKit does not list by its digest, in its place; pack it again")
        for member, content in layers.unpack(layer).entries:
            union.add(member, content)
    if _KITFILE in union.files or _KITFILE in union.folders:
        raise MalformedError(f"got {_KITFILE} in a layer of a ModelKit, where kit writes its own")
    return union.files


def _stated(kit: dict[str, Any]) -> dict[str, list[str]]:
    """Digests of the layers that a kit lists, by part."""
    model = structure(kit.get("model") or {}, "model")
    path = model.get("path") or ""
    if not isinstance(path, str) or ":" in path or "@" in path:
        raise MalformedError(f"got a ModelKit whose model is {quote(path)}: another ModelKit, which this digest does not fix")
    found = {"model": _digests([model]), "modelpart": _digests(model.get("parts") or [])}
    return found | {part: _digests(kit.get(name) or []) for part, name in _LISTS.items()}


def _digests(entries: Any) -> list[str]:
    if not isinstance(entries, list):
        raise MalformedError("got a ModelKit's configuration with a part that is no list")
    return [str(structure(entry, "a part of a ModelKit").get("digest") or "") for entry in entries]


def pack_files(manifest: Manifest, layers: Layers) -> dict[str, Content | Other]:
    """The files of a ModelPack: packed layers unpacked, others as the files that they are.

    Raises:
        MalformedError: who unpacks it may differ, or a layer holds other files than it says.
        UnavailableError: the registry does not answer, or with other bytes.
        LimitExceededError: too much in it.
    """
    union = _Union()
    for descriptor in manifest.layers:
        packed = pack_layer(descriptor)
        if packed is None:
            _add_plain(union, manifest, descriptor, layers)
            continue
        below = path_of(descriptor) if any(name in descriptor.annotations for name in PATH_ANNOTATIONS) else ""
        for member, content in layers.unpack(packed).entries:
            if member.kind is not MemberKind.FOLDER and not _lies(member.path, below):
                raise MalformedError(f"got {quote(member.path)} in a layer that says it holds {quote(below)}")
            union.add(member, content)
    return union.files


def _add_plain(union: _Union, manifest: Manifest, descriptor: Descriptor, layers: Layers) -> None:
    path = path_of(descriptor)
    check_path(path)
    # a type that nobody stated may be a tar for some
    if descriptor.media_type == PLAIN_TAR or kind_of(manifest, descriptor) is FileKind.ARCHIVE:
        union.add(Member(path, MemberKind.SPECIAL, 0, 0, ""), Other(FileKind.ARCHIVE))
        return
    layer = Layer(descriptor.sha256, descriptor.size, Compression.NONE, path)
    for member, content in layers.unpack(layer).entries:
        union.add(member, content)


def _lies(path: str, below: str) -> bool:
    return below in {"", ".", path} or path.startswith(f"{below.rstrip('/')}/")


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
