"""A model in an OCI registry, by the digest of its manifest or of an index of manifests.

Where layers are files, their digests are those of the files, so a listing needs no download; the assurance is SourceDigests. What
is fetched whole is checked against its digest. A part of a large blob cannot be: the registry is believed there, until something
reads every byte. Where layers pack files (``sources.packed``), listing them reads every byte.
"""

from dataclasses import KW_ONLY, dataclass, field

from modeltrust.domain import limits
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    quote,
)
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import ModelReference, Revision, RevisionState
from modeltrust.sources import manifests, platforms
from modeltrust.sources.http import Client
from modeltrust.sources.inflate import Compression, packing
from modeltrust.sources.interface import Credentials, Progress
from modeltrust.sources.layers import Content
from modeltrust.sources.layouts import Layout, layout
from modeltrust.sources.manifests import Descriptor, Manifest
from modeltrust.sources.oci_signatures import Signatures
from modeltrust.sources.packed import Packed
from modeltrust.sources.parts import signature_files
from modeltrust.sources.registry import Repository

_TAR_BLOCK = 512


@dataclass(slots=True)
class OciSource:
    """One manifest of one repository, or an index whose manifests are one model; implements ``domain.source.Source``.

    Attributes:
        reference: scheme ``oci``.
        revision: a digest.
        client: does the requests.
        credentials: of the registry, or None.
        signature_paths: layers that hold signatures, by path, beside ``model.sig``.
        signature_repositories: ``host/repository`` where referrers and old cosign tags are looked for, too.
        packed_bytes: of packed layers that may be read to list what is in them.
        unpacked_bytes: that may come out of them.
        progress: told how many bytes of them have been read since the last call.
    """

    reference: ModelReference
    revision: Revision
    client: Client
    credentials: Credentials | None = None
    _: KW_ONLY
    signature_paths: tuple[str, ...] = ()
    signature_repositories: tuple[str, ...] = ()
    packed_bytes: int = limits.MODEL_BYTES
    unpacked_bytes: int = limits.MODEL_BYTES
    progress: Progress | None = None
    _repository: Repository = field(init=False, repr=False)
    _packed: Packed = field(init=False, repr=False)
    _listing: SourceListing | None = field(init=False, repr=False, default=None)
    _entries: dict[str, FileEntry] = field(init=False, repr=False, default_factory=dict)
    _contents: dict[str, Content] = field(init=False, repr=False, default_factory=dict)
    _latest: tuple[str, bytes] = field(init=False, repr=False, default=("", b""))

    def __post_init__(self) -> None:
        if self.reference.scheme != "oci" or self.reference.resolver is not None:
            raise InvalidReferenceError(f"got {quote(self.reference)}, expected oci://host/repository")
        if self.revision.state is not RevisionState.DIGEST:
            raise InvalidReferenceError(f"got {quote(self.reference)} at {quote(self.revision)}, expected @sha256: and a digest")
        host, _, name = self.reference.path.partition("/")
        self._repository = Repository(host, name, self.client, self.credentials)
        self._packed = Packed(
            self._repository, packed_bytes=self.packed_bytes, unpacked_bytes=self.unpacked_bytes, progress=self.progress
        )

    def list(self) -> SourceListing:
        """Every file: a layer with the digest that the manifest states, or what packed layers make together, read and hashed.

        Raises:
            NotFoundError: no such manifest.
            UnavailableError: the registry does not answer, or with other bytes than the digest names.
            MalformedError: no manifest, an index of several models, or layers that make no files everybody agrees about.
            LimitExceededError: too large or too many.
        """
        if self._listing is None:
            first, *others = self._candidates()
            entries, contents, bytes_read = self._files(first)
            for other in others:
                # which one runs depends on who pulls (attack M7)
                if sorted(self._files(other)[0], key=_path) != sorted(entries, key=_path):
                    raise MalformedError(
                        f"got an index of {len(others) + 1} manifests that hold different models, of which the node chooses one; "
                        "name the manifest of one platform by its digest"
                    )
            self._contents, self._entries = contents, {entry.path: entry for entry in entries}
            self._listing = SourceListing(self.reference, self.revision, entries, bytes_read=bytes_read)
        return self._listing

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file. Small layers, those read from start to end, and all that is packed are checked against their digest.

        Raises:
            NotFoundError: the manifest has no such file.
            UnavailableError: the registry does not answer, or with something else than was asked for.
            MalformedError: a negative range, or a manifest as in ``list``.
        """
        if start < 0 or length < 0:
            raise MalformedError(f"got start {start} and length {length}, expected none below 0")
        self.list()
        entry = self._entries.get(path)
        if entry is None or entry.sha256 is None:
            raise NotFoundError(f"there is no file {quote(path)} in {self.reference}")
        if path in self._contents:
            return self._packed.layers.read(self._contents[path], start, length)
        return self._bytes(entry.sha256, entry.size, start, length)

    def signatures(self) -> tuple[bytes, ...]:
        """Sigstore bundles that refer to the manifest, old cosign signatures of it, then layers that are signatures.

        Raises:
            UnavailableError: a registry does not answer.
            MalformedError: an answer makes no sense.
            LimitExceededError: too many or too large.
        """
        found: dict[bytes, None] = {}
        for repository in (self._repository, *map(self._elsewhere, self.signature_repositories)):
            places = Signatures(repository, self.revision.value)
            found |= dict.fromkeys((*places.bundles(), *places.simple()))
            if len(found) > limits.BUNDLES_PER_MODEL:
                raise LimitExceededError(f"got {len(found)} signatures, expected at most {limits.BUNDLES_PER_MODEL}")
        found |= dict.fromkeys(signature_files(self.list(), self, self.signature_paths))
        if len(found) > limits.BUNDLES_PER_MODEL:
            raise LimitExceededError(f"got {len(found)} signatures, expected at most {limits.BUNDLES_PER_MODEL}")
        return tuple(found)

    def _elsewhere(self, place: str) -> Repository:
        host, _, name = place.partition("/")
        return Repository(host, name, self.client, self.credentials)  # which are sent to their own host only

    def _candidates(self) -> tuple[Manifest, ...]:
        """Every manifest that somebody who pulls this digest may be given."""
        parsed = self._parsed(self.revision.value.removeprefix("sha256:"))
        if isinstance(parsed, Manifest):
            return (parsed,)
        found = []
        for child in platforms.candidates(parsed):
            try:
                manifest = self._parsed(child.sha256)
            except NotFoundError as error:
                raise UnavailableError(f"the index lists a manifest that is missing, name one by its digest: {error}") from error
            if not isinstance(manifest, Manifest):
                raise MalformedError("got an index inside an index, expected a manifest")
            found.append(manifest)
        return tuple(found)

    def _files(self, manifest: Manifest) -> tuple[tuple[FileEntry, ...], dict[str, Content], bool]:
        """Entries, where the bytes of those that are packed lie, and whether every byte was read."""
        if layout(manifest) is not Layout.PLAIN:
            entries, contents = self._packed.files(manifest)
            return entries, contents, True
        undeclared, image = manifests.undeclared(manifest), manifests.is_image(manifest)
        entries = tuple(self._settled(e, image=image) if e.path in undeclared else e for e in manifests.files(manifest))
        return entries, {}, False

    def _parsed(self, sha256: str) -> Manifest | tuple[Descriptor, ...]:
        return manifests.parse(self._repository.manifest(f"sha256:{sha256}", accept=manifests.ACCEPTED, sha256=sha256))

    def _settled(self, entry: FileEntry, *, image: bool) -> FileEntry:
        """The entry, as an archive if its bytes are a tar's, or, in an image, those of anything packed."""
        if entry.sha256 is None or (entry.size < _TAR_BLOCK and not image):
            return entry
        start = self._bytes(entry.sha256, entry.size, 0, _TAR_BLOCK)
        if not manifests.is_tar_header(start) and not (image and packing(start) != Compression.NONE.value):
            return entry
        return FileEntry(entry.path, entry.size, entry.sha256, kind=FileKind.ARCHIVE)

    def _bytes(self, sha256: str, size: int, start: int, length: int) -> bytes:
        length = min(length, size - start)
        if length <= 0:
            return b""
        try:
            if size > limits.OCI_WHOLE_BLOB_BYTES:
                whole = length == size
                return self._repository.blob(sha256, size) if whole else self._repository.blob_range(sha256, size, start, length)
            if self._latest[0] != sha256:
                self._latest = (sha256, self._repository.blob(sha256, size))
        except (NotFoundError, LimitExceededError) as error:
            # the manifest lists it, so the registry does not serve what it lists; "absent" would be a lie
            raise UnavailableError(f"a listed file cannot be read: {error}") from error
        return self._latest[1][start : start + length]


def _path(entry: FileEntry) -> str:
    return entry.path
