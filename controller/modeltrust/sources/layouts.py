"""How the layers of a manifest are packed, where somebody unpacks them in a way that is known exactly.

- an image (KServe's modelcars, image volumes): every layer is a change to what the layers before made (``sources.images``);
- KitOps ModelKits and CNCF ModelPacks: every layer adds files (``sources.packages``).
Anything else is a file by itself, or an archive that nobody looks into (``sources.manifests``).
"""

import re
from enum import Enum, auto

from modeltrust.domain.errors import MalformedError, quote
from modeltrust.sources.inflate import Compression
from modeltrust.sources.layers import Layer
from modeltrust.sources.manifests import Descriptor, Manifest, is_image

KIT_CONFIG = "application/vnd.kitops.modelkit.config.v1+json"
_IMAGE_LAYERS = {
    "application/vnd.oci.image.layer.v1.tar": Compression.NONE,
    "application/vnd.oci.image.layer.v1.tar+gzip": Compression.GZIP,
    "application/vnd.oci.image.layer.v1.tar+zstd": Compression.ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": Compression.NONE,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": Compression.GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": Compression.ZSTD,
}
_IMAGE_PREFIXES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.", "application/vnd.erofs.layer.")
_KIT_LAYER = re.compile(r"application/vnd\.kitops\.modelkit\.(model|modelpart|dataset|code|docs)\.v1\.tar(?:\+(gzip))?")
_PACK_LAYER = re.compile(r"application/vnd\.cncf\.model\.[a-z.]+\.v1\.tar(?:\+(gzip|zstd))?")
# A node with a lazy snapshotter, or CRI-O with partial pulls, takes the list of files from an index that these name, not from the
# tar.
_LAZY = ("containerd.io/snapshot/", "io.github.containers.zstd-chunked.", "io.containers.estargz.")


class Layout(Enum):
    """How the files of a manifest come about."""

    PLAIN = auto()
    IMAGE = auto()
    KIT = auto()
    PACK = auto()


def layout(manifest: Manifest) -> Layout:
    """Which of them it is."""
    types = [layer.media_type for layer in manifest.layers]
    if is_image(manifest):
        return Layout.IMAGE if any(kind.startswith(_IMAGE_PREFIXES) for kind in types) else Layout.PLAIN
    if manifest.config.media_type == KIT_CONFIG:
        return Layout.KIT
    return Layout.PACK if any(map(_PACK_LAYER.fullmatch, types)) else Layout.PLAIN


def image_layer(layer: Descriptor) -> Layer:
    """A layer of an image.

    Raises:
        MalformedError: of a kind that runtimes skip, fetch from elsewhere, or unpack by something else than its tar.
    """
    compression = _IMAGE_LAYERS.get(layer.media_type)
    if compression is None:
        raise MalformedError(f"got a layer of type {quote(layer.media_type)} in an image, which not every runtime unpacks")
    return _layer(layer, compression)


def kit_layer(layer: Descriptor) -> tuple[str, Layer]:
    """A layer of a ModelKit, and its part in the kit.

    Raises:
        MalformedError: of a kind that ``kit unpack`` does not know.
    """
    found = _KIT_LAYER.fullmatch(layer.media_type)
    if found is None:
        raise MalformedError(f"got a layer of type {quote(layer.media_type)} in a ModelKit, expected tar or tar+gzip")
    return found[1], _layer(layer, Compression(found[2] or "none"))


def pack_layer(layer: Descriptor) -> Layer | None:
    """A packed layer of a ModelPack, None for a layer that is no tar.

    Raises:
        MalformedError: as ``image_layer``.
    """
    found = _PACK_LAYER.fullmatch(layer.media_type)
    return None if found is None else _layer(layer, Compression(found[1] or "none"))


def _layer(layer: Descriptor, compression: Compression) -> Layer:
    lazy = next((key for key in layer.annotations if key.startswith(_LAZY)), None)
    if lazy is not None:
        raise MalformedError(
            f"got a layer with annotation {quote(lazy)}: some nodes take its files from an index, not from the tar"
        )
    return Layer(layer.sha256, layer.size, compression)
