"""The model in a container image: the files below ``/models``, or all of them where there is no such folder.

Source: KServe (modelcar: ``ln -sf /proc/$$/root/models``; native: an image volume with subPath ``models``), KEP-4639 (an image
volume is the whole root), OCI image specification 1.1 (config.md: ``rootfs.diff_ids``).
"""

from collections.abc import Iterator

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import is_sha256_hex
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.image_folders import MODEL_FOLDER, SYSTEM_FOLDERS
from modeltrust.domain.listing import FileKind
from modeltrust.sources.layer_tree import Folder, LayerTree, Node, Other
from modeltrust.sources.layers import Content, Layers
from modeltrust.sources.layouts import image_layer
from modeltrust.sources.manifests import Manifest, structure

_ROOT_TYPE = "layers"
_REPOSITORY_FILES = frozenset({"config.pbtxt", "model-settings.json"})  # Triton's, and MLServer's at any depth
_VERSIONED_PARTS = 3  # <model>/<version>/<file>, as Triton and OpenVINO look for models without configuration
_LAZY_INDEX = "stargz.index.json"  # in a layer, the list of files that a lazy snapshotter goes by


def files(manifest: Manifest, config: bytes, layers: Layers) -> dict[str, Content | Other]:
    """What is in the model's folder, by path.

    Args:
        manifest: of the image.
        config: its configuration.
        layers: unpacks them.

    Raises:
        MalformedError: a layer is not what the configuration says, runtimes would unpack it differently, or the model's folder
            cannot be told from the rest.
        UnavailableError: the registry does not answer, or with other bytes.
        LimitExceededError: too much in it.
    """
    packed = [image_layer(layer) for layer in manifest.layers]
    expected = diff_ids(config)
    if len(expected) != len(packed):
        raise MalformedError(f"got {len(packed)} layers and {len(expected)} diff_ids in the configuration, expected as many")
    tree = LayerTree()
    for layer, diff_id in zip(packed, expected, strict=True):
        found = layers.unpack(layer)
        if found.diff_id != diff_id:
            # A node that has a snapshot of that name already uses it and never looks at this layer.
            raise MalformedError(f"got a layer that unpacks to sha256:{found.diff_id}, expected sha256:{diff_id} as configured")
        if any(member.path == _LAZY_INDEX for member, _ in found.entries):
            raise MalformedError(f"got a layer with {_LAZY_INDEX}: some nodes take its files from there, not from the tar")
        tree.apply(found)
    return dict(_walk(_model(tree.root), "", most=limits.FILES))


def diff_ids(config: bytes) -> tuple[str, ...]:
    """64 hex of each unpacked layer, as an image's configuration states them.

    Raises:
        MalformedError: no configuration of an image.
    """
    document = structure(strict_json.loads(config, max_bytes=limits.OCI_MANIFEST_BYTES), "an image's configuration")
    rootfs = structure(document.get("rootfs"), "rootfs")
    stated = rootfs.get("diff_ids")
    if rootfs.get("type") != _ROOT_TYPE or not isinstance(stated, list):
        raise MalformedError("got a configuration without rootfs of type layers, expected that of an image")
    found = []
    for digest in stated:
        algorithm, _, value = str(digest).partition(":")
        if algorithm != "sha256" or not is_sha256_hex(value):
            raise MalformedError(f"got diff_id {quote(digest)}, expected sha256: and 64 hexadecimal digits")
        found.append(value)
    return tuple(found)


def _model(root: Folder) -> Folder:
    model = root.children.get(MODEL_FOLDER)
    if model is None:
        return root
    if not isinstance(model, Folder):
        raise MalformedError(f"got an image whose /{MODEL_FOLDER} is no folder, expected one that holds the model")
    for name, node in root.children.items():
        if name == MODEL_FOLDER:
            continue
        if name in SYSTEM_FOLDERS and (isinstance(node, Folder) or _is_link(node)):
            _check_system(name, node)
            continue
        raise MalformedError(
            f"got {quote('/' + name)} beside /{MODEL_FOLDER} in an image: a Pod that mounts it could load what nobody looked at; "
            f"put it below /{MODEL_FOLDER} or a folder such as /usr"
        )
    return model


def _check_system(top: str, node: Node) -> None:
    """Nothing that a server finds by itself which is given the whole image as a folder of models: Triton, MLServer, llama.cpp."""
    if not isinstance(node, Folder):
        return
    for path, _ in _walk(node, f"{top}/", most=limits.OCI_ENTRIES):
        parts = path.casefold().split("/")
        found = parts[-1] in _REPOSITORY_FILES or parts[-1].endswith(".gguf")
        if found or (len(parts) == _VERSIONED_PARTS and parts[1].isdecimal()):
            raise MalformedError(f"got {quote('/' + path)} beside /{MODEL_FOLDER} in an image, which some servers take for a model")


def _is_link(node: Node) -> bool:
    return isinstance(node, Other) and node.kind is FileKind.SYMLINK


def _walk(folder: Folder, prefix: str, *, most: int) -> Iterator[tuple[str, Content | Other]]:
    pending: list[tuple[str, Folder]] = [(prefix, folder)]
    count = 0
    while pending:
        path, current = pending.pop()
        for name, node in current.children.items():
            if isinstance(node, Folder):
                pending.append((f"{path}{name}/", node))
                continue
            count += 1
            if count > most:
                raise LimitExceededError(f"got more than {most} files in a folder of an image")
            yield f"{path}{name}", node
