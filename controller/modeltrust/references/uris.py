"""How a string is read: one profile per API group or tool, because the same scheme means different things (facts/workloads.md §4).

What nobody can read is said, never guessed: the caller turns ``InvalidReferenceError`` into a finding.
"""

import re

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.reference import (
    NO_REVISION,
    ModelReference,
    Revision,
    RevisionState,
    hub_revision,
    model_reference,
)
from modeltrust.references.images import read_hub_image, read_image, read_ollama
from modeltrust.references.schema import ProfileRow, SchemeRow

OPAQUE = Revision(RevisionState.OPAQUE)
_HUB_URLS = ("https://huggingface.co/", "https://hf.co/", "http://huggingface.co/", "http://hf.co/")
_MODELSCOPE_URLS = (
    "https://modelscope.cn/models/",
    "https://www.modelscope.cn/models/",
    "https://modelscope.cn/",
    "https://www.modelscope.cn/",
)
_FILE_VIEWS = frozenset({"resolve", "blob", "tree", "raw", "commit"})
_WEIGHT_FILES = (".gguf", ".bin", ".safetensors", ".pt", ".pth", ".onnx", ".tar.gz", ".zip", ".json", ".yaml")
_REPOSITORY_PARTS = 2
# owner/name of a hub in one linear expression: a strict part of what the rules below read as one.
_USUAL_ID = re.compile(
    r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*/[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
    + "".join(f"(?<!{re.escape(suffix)})" for suffix in (*_WEIGHT_FILES, ".git"))
).fullmatch
_USUAL_CHARACTERS = 63


class LocalPath(msgspec.Struct, frozen=True, gc=False):
    """A path inside the container; volumes say what is there."""

    path: str


class Named(msgspec.Struct, frozen=True, gc=False):
    """A canonical reference.

    Attributes:
        reference: what is named.
        revision: as far as the string itself says.
    """

    reference: ModelReference
    revision: Revision


Reading = LocalPath | Named


def read(profile: ProfileRow, text: str, *, namespace: str) -> Reading:
    """Read a string as the kind or tool would.

    Args:
        profile: whose grammar.
        text: the string after expansion.
        namespace: of the object, for claims; empty for cluster-scoped objects.

    Raises:
        InvalidReferenceError: it cannot be read; the message says why.
    """
    if profile.bare == "hub" and len(text) <= _USUAL_CHARACTERS and _USUAL_ID(text):
        return Named(ModelReference("hf", text), NO_REVISION)
    if not text or len(text) > limits.REFERENCE_CHARACTERS:
        raise InvalidReferenceError(f"got {len(text)} characters, expected 1 to {limits.REFERENCE_CHARACTERS}")
    if "$" in text or "{{" in text or "<" in text:
        raise InvalidReferenceError(
            f"got {quote(text)}, expected a literal; it holds a placeholder that only another place can fill"
        )
    head, separator, rest = text.partition("://")
    if separator:
        return _with_scheme(profile, text, head, rest, namespace)
    if text[0] in "/.~":
        return LocalPath(text)
    return _bare(profile, text, namespace)


def _with_scheme(profile: ProfileRow, text: str, head: str, rest: str, namespace: str) -> Reading:
    row = profile.schemes.get(head)
    if row is None:
        raise InvalidReferenceError(f"got {quote(text)}, expected a scheme that {profile.name} reads")
    return _READERS[row.reader](row, text, rest, namespace)


def _bare(profile: ProfileRow, text: str, namespace: str) -> Reading:
    kind = profile.bare
    if kind == "hub":
        return _bare_hub(text)
    if kind == "image":
        return Named(*read_hub_image(text))
    if kind == "ollama":
        return Named(*read_ollama(text))
    if kind == "store":
        return Named(model_reference(profile.scheme, text.rstrip("/")), OPAQUE)
    return _bare_rare(profile, text, namespace)


def _bare_rare(profile: ProfileRow, text: str, namespace: str) -> Reading:
    if profile.bare == "llamacpp":
        # user/repo[:quant]: the quantisation chooses a file, a revision cannot be given.
        return Named(model_reference("hf", text.partition(":")[0]), NO_REVISION)
    if profile.bare == "claim":
        return _claim(SchemeRow(reader="claim"), text, text, namespace)
    if profile.bare == "rclone":
        remote, colon, path = text.partition(":")
        if colon and remote and path:
            return Named(model_reference("rclone", f"{remote}/{path.strip('/')}"), OPAQUE)
    if profile.bare in {"path", "rclone"}:
        return LocalPath(text)
    raise InvalidReferenceError(f"got {quote(text)}, expected a scheme that {profile.name} reads")


def _bare_hub(text: str) -> Reading:
    # A local directory of that name would win in transformers and vLLM: volumes.py looks for one.
    parts = text.split("/")
    if parts[0] in {"hf.co", "huggingface.co"}:
        return _hub_url("/".join(parts[1:]))
    if len(parts) > _REPOSITORY_PARTS or text.endswith(_WEIGHT_FILES):
        return LocalPath(text)
    return Named(model_reference("hf", text), NO_REVISION)


def _hub(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    if rest.startswith("datasets/"):
        raise InvalidReferenceError(f"got {quote(text)}, expected a model; this is a data set")
    scheme = row.scheme or "hf"
    if row.separator:
        name, mark, revision = rest.partition(row.separator)
        if mark:
            return Named(model_reference(scheme, name), _floating(scheme, hub_revision(revision)))
    return Named(model_reference(scheme, rest), NO_REVISION)


def _floating(scheme: str, revision: Revision) -> Revision:
    # Only the Hugging Face hub addresses a repository by commit; elsewhere 40 hex digits are a name like any other.
    return revision if scheme == "hf" else Revision(RevisionState.TAG, revision.value)


def _hub_url(path: str) -> Named:
    if any(mark in path for mark in "@?#%"):
        raise InvalidReferenceError("got a URL with credentials, a query or escapes, expected a plain https://host/path")
    parts = path.removesuffix(".git").split("/")
    if parts[0] in {"datasets", "spaces"}:
        raise InvalidReferenceError(f"got {quote(path)}, expected a model; this is a data set or a space")
    reference = model_reference("hf", "/".join(parts[:_REPOSITORY_PARTS]))
    rest = parts[_REPOSITORY_PARTS:]
    if len(rest) > 1 and rest[0] in _FILE_VIEWS:
        return Named(reference, hub_revision(rest[1]))
    if rest:
        raise InvalidReferenceError(f"got {quote(path)}, expected owner/name/resolve/revision/file")
    return Named(reference, NO_REVISION)


def _web(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    for prefix in _HUB_URLS:
        if text.startswith(prefix):
            return _hub_url(text[len(prefix) :])
    for prefix in _MODELSCOPE_URLS:
        if text.startswith(prefix):
            return Named(model_reference("ms", text[len(prefix) :].removesuffix(".git")), NO_REVISION)
    if any(mark in rest for mark in "@?#%"):
        raise InvalidReferenceError("got a URL with credentials, a query or escapes, expected a plain https://host/path")
    return Named(model_reference(text.partition(":")[0], rest.rstrip("/")), NO_REVISION)


def _image(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    return Named(*read_image(rest))


def _ollama(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    name, query, options = rest.partition("?")
    if query and not all(option.startswith(("pull=", "model=")) for option in options.split("&")):
        raise InvalidReferenceError(f"got {quote(text)}, expected no option that weakens the transport")
    return Named(*read_ollama(name))


def _bucket(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    scheme = row.scheme or text.partition(":")[0]
    path = rest.rstrip("/")
    resolver = None
    host, slash, inner = path.removeprefix("https://").partition("/")
    if path.startswith("https://") or (slash and ":" in host):  # Triton: s3://host:port/bucket, s3://https://host:port/bucket
        resolver, path = f"https://{host}", inner
    if "@" in path:
        raise InvalidReferenceError(f"got {quote(text)}, expected a bucket without credentials or region")
    return Named(model_reference(scheme, path, resolver=resolver), NO_REVISION)


def _claim(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:
    if rest.startswith("/"):  # Kthena: pvc:///path is a path in the container
        return LocalPath(rest)
    path, query, _ = rest.partition("?")
    if query and row.separator != "@":
        raise InvalidReferenceError(f"got {quote(text)}, expected pvc://claim/path")
    owner, colon, inner = path.partition(":")
    if colon:
        namespace, path = owner, inner
    if not namespace:
        raise InvalidReferenceError(f"got {quote(text)} in an object without a namespace, expected a claim of a namespace")
    return Named(model_reference("pvc", f"{namespace}/{path.rstrip('/')}"), NO_REVISION)


def _path(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    return LocalPath(rest if rest.startswith("/") else f"/{rest}")


def _store(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    return Named(model_reference(row.scheme, rest.rstrip("/")), OPAQUE)


def _registry(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    raise InvalidReferenceError(f"got {quote(text)}, expected a model; this name is resolved by a query when the Pod starts")


def _unpacker(row: SchemeRow, text: str, rest: str, namespace: str) -> Reading:  # noqa: ARG001 - one signature for all readers
    # it knows no whiteouts and skips names that begin with "./": not the files of a container of the image, which are attested
    raise InvalidReferenceError(f"got {quote(text)}, which KServe unpacks by itself, expected oci:// as modelcar or oci+native://")


_READERS = {
    "hub": _hub,
    "image": _image,
    "ollama": _ollama,
    "bucket": _bucket,
    "claim": _claim,
    "path": _path,
    "web": _web,
    "store": _store,
    "registry": _registry,
    "unpacker": _unpacker,
}
