"""OCI manifests and indexes: strict reading, and which file each layer is.

Sources: OCI image specification 1.1 (manifest, index), CNCF ModelPack, Docker Model Runner, ORAS, ollama; layouts as in
facts/signing.md section 7.3. Layers that ``sources.layouts`` knows how to unpack are not judged here; any other layer that packs
files is an ARCHIVE.
"""

import contextlib
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import is_sha256_hex
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.listing import FileEntry, FileKind

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
ACCEPTED = ", ".join(sorted(MANIFESTS | INDEXES))

# modctl reads the one from before the project moved to the CNCF where the first is missing.
PATH_ANNOTATIONS = ("org.cncf.model.filepath", "org.cnai.model.filepath", "org.opencontainers.image.title")
UNPACK_ANNOTATION = "io.deis.oras.content.unpack"  # oras packs a folder and says so here
PLAIN_TAR = "application/vnd.oci.image.layer.v1.tar"  # also what oras calls any file whose type nobody stated
IMAGE_CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})
_PACKED = re.compile(r"(?:^|[.+/-])(?:tar|gzip|gz|zstd|zip|squashfs)(?:$|[.+])")
# Go, which every container runtime reads these documents with, takes "Layers" for "layers", and the last one that it finds counts.
_FIELDS = frozenset(
    {
        "schemaVersion", "mediaType", "artifactType", "config", "layers", "fsLayers", "manifests", "subject", "annotations",
        "digest", "size", "urls", "data", "platform", "os", "architecture", "variant", "os.version", "os.features", "rootfs",
        "type", "diff_ids", "model", "path", "parts", "code", "datasets", "docs", "diffId",
    }
)  # fmt: skip
_FOLDED = frozenset(field.casefold() for field in _FIELDS)
_EMPTY = hashlib.sha256(b"").hexdigest()
_SUFFIXES = {  # layers without a path: enough of a name that formats knows what the packager claims, and then proves it
    "application/vnd.docker.ai.gguf.v3": ".gguf",
    "application/vnd.docker.ai.mmproj": ".gguf",
    "application/vnd.docker.ai.safetensors": ".safetensors",
    "application/vnd.docker.ai.chat.template.jinja": ".jinja",
    "application/vnd.docker.ai.license": ".license",
    "application/vnd.cncf.model.weight.v1.gguf": ".gguf",
    "application/vnd.cncf.model.weight.v1.safetensors": ".safetensors",
    "application/vnd.ollama.image.model": ".gguf",
    "application/vnd.ollama.image.adapter": ".gguf",
    "application/vnd.ollama.image.projector": ".gguf",
    "application/vnd.ollama.image.template": ".gotmpl",
    "application/vnd.ollama.image.license": ".license",
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of one blob or child.

    Attributes:
        media_type: a claim of the packager.
        sha256: 64 hex.
        size: in bytes.
        annotations: string to string.
        platform: operating system and architecture where an index states them.
    """

    media_type: str
    sha256: str
    size: int
    annotations: dict[str, str]
    platform: tuple[str, str] | None = None

    @property
    def digest(self) -> str:
        """``sha256:<hex>``."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest, whose bytes were checked against its digest.

    Attributes:
        artifact_type: empty where none is stated.
        config: its config blob.
        layers: in order.
        subject: 64 hex of the manifest that it refers to, else empty.
    """

    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: str


def parse(data: bytes) -> Manifest | tuple[Descriptor, ...]:
    """Read a manifest, or an index as the descriptors of its children.

    Raises:
        MalformedError: neither, or both at once (CVE-2021-41190: two readers see two things).
        LimitExceededError: too large.
    """
    document = structure(strict_json.loads(data, max_bytes=limits.OCI_MANIFEST_BYTES), "a manifest")
    is_index = "manifests" in document
    if is_index and document.keys() & {"layers", "config", "fsLayers"}:
        raise MalformedError("got a document that is a manifest and an index at once")
    if document.get("schemaVersion") != 2 or isinstance(document["schemaVersion"], bool):  # noqa: PLR2004 - the only version
        raise MalformedError(f"got schemaVersion {quote(document.get('schemaVersion'))}, expected 2")
    media_type = document.get("mediaType")
    known = INDEXES if is_index else MANIFESTS
    if media_type is not None and str(media_type) not in known:
        raise MalformedError(f"got mediaType {quote(media_type)}, expected that of {'an index' if is_index else 'a manifest'}")
    if is_index:
        return _descriptors(document["manifests"], "manifests")
    return _manifest(document)


def _manifest(document: dict[str, Any]) -> Manifest:
    subject = document.get("subject")
    return Manifest(
        artifact_type=_text(document.get("artifactType", ""), "artifactType"),
        config=_descriptor(document.get("config"), "config"),
        layers=_descriptors(document.get("layers"), "layers"),
        subject="" if subject is None else _descriptor(subject, "subject").sha256,
    )


def _descriptors(value: Any, name: str) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise MalformedError(f"got {name} of type {type(value).__name__}, expected a list")
    if len(value) > limits.FILES:
        raise LimitExceededError(f"got {len(value)} {name}, expected at most {limits.FILES}")
    return tuple(_descriptor(item, name) for item in value)


def _descriptor(value: Any, name: str) -> Descriptor:
    document = structure(value, name)
    algorithm, _, sha256 = _text(document.get("digest"), "digest").partition(":")
    if algorithm != "sha256" or not is_sha256_hex(sha256):
        raise MalformedError(f"got digest {quote(document['digest'])} in {name}, expected sha256: and 64 hexadecimal digits")
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limits.OCI_BLOB_BYTES:
        raise MalformedError(f"got size {quote(size)} in {name}, expected 0 to {limits.OCI_BLOB_BYTES}")
    if (size == 0) != (sha256 == _EMPTY):
        raise MalformedError(f"got size {size} for {quote(document['digest'])} in {name}, which that digest belies")
    if document.get("urls"):
        raise MalformedError(f"got a descriptor in {name} whose bytes are elsewhere (urls), expected them in the registry")
    annotations = _object(document.get("annotations") or {}, "annotations")
    texts = {key: _text(text, "annotation") for key, text in annotations.items()}
    return Descriptor(_text(document.get("mediaType"), "mediaType"), sha256, size, texts, _platform(document.get("platform")))


def _platform(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    document = structure(value, "a platform")
    return _text(document.get("os", ""), "os"), _text(document.get("architecture", ""), "architecture")


def files(manifest: Manifest) -> tuple[FileEntry, ...]:
    """The files that the layers are, sorted by path.

    Raises:
        MalformedError: two layers have one path, or one layer has two.
    """
    entries = {}
    for layer in manifest.layers:
        path = path_of(layer)
        if path in entries:
            raise MalformedError(f"got two layers for {quote(path)}, expected one")
        entries[path] = FileEntry(path, layer.size, layer.sha256, kind=kind_of(manifest, layer))
    return tuple(entries[path] for path in sorted(entries))


def is_image(manifest: Manifest) -> bool:
    """Whether its configuration is an image's: CRI-O takes each of its layers for a tar, of whatever type, packed or not."""
    return manifest.config.media_type in IMAGE_CONFIGS


def undeclared(manifest: Manifest) -> frozenset[str]:
    """Paths of layers that only their bytes show to be tars: of the type which oras gives to any file, or of an image."""
    return frozenset(path_of(layer) for layer in manifest.layers if is_image(manifest) or _is_undeclared(manifest, layer))


def _is_undeclared(manifest: Manifest, layer: Descriptor) -> bool:
    return (
        layer.media_type == PLAIN_TAR
        and not is_image(manifest)
        and UNPACK_ANNOTATION not in layer.annotations
        and any(name in layer.annotations for name in PATH_ANNOTATIONS)
    )


def is_tar_header(block: bytes) -> bool:
    """Whether a tar reader would take these 512 bytes for a header: their checksum is right (POSIX ustar, v7 included).

    A file that is both, say, safetensors and tar would be one model for one client and another for the next.
    """
    if len(block) < 512:  # noqa: PLR2004 - the format's block
        return False
    unsigned = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:512])  # noqa: PLR2004 - old tars summed signed
    return not _checksums(block[148:156]).isdisjoint({unsigned, signed})


def _checksums(field: bytes) -> set[int]:
    """What readers make of a checksum field: octal up to the first NUL (Python), or between NULs and spaces (Go), or base 256."""
    found = {int.from_bytes(field[1:], "big")} if field[0] & 0x80 else set()
    for text in (field.partition(b"\0")[0].strip(), field.strip(b" \0")):
        with contextlib.suppress(ValueError):
            found.add(int(text, 8))
    return found


def kind_of(manifest: Manifest, layer: Descriptor) -> FileKind:
    """What a layer is by what its manifest says: a file, or a package of files."""
    if _is_undeclared(manifest, layer):
        return FileKind.FILE
    packed = _PACKED.search(layer.media_type.lower()) or UNPACK_ANNOTATION in layer.annotations
    return FileKind.ARCHIVE if packed else FileKind.FILE


def path_of(layer: Descriptor) -> str:
    """The path that a layer states, else a name made of its digest.

    Raises:
        MalformedError: it states two.
    """
    stated = {layer.annotations[name] for name in PATH_ANNOTATIONS if name in layer.annotations}
    if len(stated) > 1:
        raise MalformedError(f"got a layer with the paths {quote(' and '.join(sorted(stated)))}, expected one")
    return stated.pop() if stated else f"sha256-{layer.sha256}{_SUFFIXES.get(layer.media_type, '')}"


def structure(value: Any, name: str) -> dict[str, Any]:
    """An object with fields, none of them in another spelling, where Go would find it and we would not.

    Raises:
        MalformedError: no object, or such a field.
    """
    document = _object(value, name)
    for key in document.keys() - _FIELDS:
        if key.casefold() in _FOLDED:
            raise MalformedError(f"got field {quote(key)} in {name}, which some readers take for another")
    return document


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"got {name} of type {type(value).__name__}, expected an object")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > limits.OCI_TEXT_CHARACTERS:
        raise MalformedError(f"got {name} {quote(value)}, expected a string of at most {limits.OCI_TEXT_CHARACTERS} characters")
    return value
