"""A model whose layers pack its files: what they make together, and where the bytes of each file are."""

from dataclasses import KW_ONLY, dataclass, field

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.listing import FileEntry
from modeltrust.sources import images, packages
from modeltrust.sources.inflate import Budget
from modeltrust.sources.interface import Progress
from modeltrust.sources.layer_tree import Other
from modeltrust.sources.layers import Content, Layers
from modeltrust.sources.layouts import Layout, layout
from modeltrust.sources.manifests import Descriptor, Manifest
from modeltrust.sources.registry import Repository


@dataclass(slots=True)
class Packed:
    """Lists packed models of one repository.

    Attributes:
        repository: that holds them.
        packed_bytes: of layers that may be read; each is read once.
        unpacked_bytes: that may come out of them.
        progress: told how many bytes have been read since the last call.
        layers: reads what was listed.
    """

    repository: Repository
    _: KW_ONLY
    packed_bytes: int
    unpacked_bytes: int
    progress: Progress | None = None
    layers: Layers = field(init=False)
    _sizes: dict[str, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.layers = Layers(self.repository, Budget(self.unpacked_bytes), progress=self.progress)

    def files(self, manifest: Manifest) -> tuple[tuple[FileEntry, ...], dict[str, Content]]:
        """Every file of the model, in the order in which its bytes come, and where they are.

        Raises:
            UnavailableError: the registry does not answer, or with other bytes.
            MalformedError: the layers make no files that everybody agrees about.
            LimitExceededError: too much to read, or in it.
        """
        self._check_size(manifest)
        found = self._nodes(manifest)
        contents = {path: node for path, node in found.items() if isinstance(node, Content)}
        order = {descriptor.sha256: place for place, descriptor in enumerate(manifest.layers)}
        read = sorted(contents, key=lambda path: (order[contents[path].layer.sha256], contents[path].start, path))
        entries = [FileEntry(path, contents[path].size, contents[path].sha256) for path in read]
        entries += [FileEntry(path, 0, kind=node.kind) for path, node in sorted(found.items()) if isinstance(node, Other)]
        return tuple(entries), contents

    def _nodes(self, manifest: Manifest) -> dict[str, Content | Other]:
        match layout(manifest):
            case Layout.IMAGE:
                return images.files(manifest, self._config(manifest.config), self.layers)
            case Layout.KIT:
                return packages.kit_files(manifest, self._config(manifest.config), self.layers)
            case _:
                return packages.pack_files(manifest, self.layers)

    def _check_size(self, manifest: Manifest) -> None:
        for layer in manifest.layers:
            if self._sizes.setdefault(layer.sha256, layer.size) != layer.size:
                raise MalformedError(f"got two sizes of the layer {layer.digest}, expected one")
        size = sum(self._sizes.values())
        if size > self.packed_bytes:
            raise LimitExceededError(
                f"got packed layers of {size} bytes, expected at most {self.packed_bytes} to be unpacked here; "
                "where a policy demands BytesHashed, a Job reads every byte"
            )

    def _config(self, config: Descriptor) -> bytes:
        if config.size > limits.OCI_MANIFEST_BYTES:
            raise LimitExceededError(f"got a configuration of {config.size} bytes, expected at most {limits.OCI_MANIFEST_BYTES}")
        try:
            return self.repository.blob(config.sha256, config.size)
        except NotFoundError as error:
            raise UnavailableError(f"the manifest's configuration cannot be read: {error}") from error
