"""Container image and Ollama names as canonical ``oci://`` references."""

import re

from modeltrust.domain.digest import is_sha256_hex
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.reference import ModelReference, Revision, RevisionState, hub_revision, model_reference

# A name with its registry and a digest, which is what production states: a strict part of what follows.
_USUAL = re.compile(
    r"([a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)+)@(sha256:[0-9a-f]{64})"
).fullmatch
_USUAL_CHARACTERS = 256
_DIGEST = RevisionState.DIGEST
_DOCKER = "docker.io"
_OLLAMA = "registry.ollama.ai"
_LATEST = "latest"
_HUB_HOSTS = frozenset({"hf.co", "huggingface.co"})
_PARTS_WITH_HOST = 2


def read_image(text: str) -> tuple[ModelReference, Revision]:
    """Read ``[host/]repository[:tag][@sha256:digest]`` with Docker's defaults.

    Raises:
        InvalidReferenceError: not an image name.
    """
    usual = _USUAL(text) if len(text) <= _USUAL_CHARACTERS else None
    if usual is not None:
        return model_reference("oci", usual[1]), Revision(_DIGEST, usual[2])
    name, revision = _split(text)
    host, slash, rest = name.partition("/")
    if not slash:
        host, rest = _DOCKER, f"library/{name}"
    elif not ("." in host or ":" in host or host == "localhost"):
        host, rest = _DOCKER, name
    return model_reference("oci", f"{host}/{rest}"), revision


def read_ollama(text: str) -> tuple[ModelReference, Revision]:
    """Read an Ollama name: ``[host/][namespace/]model[:tag][@sha256:digest]``; ``hf.co/owner/name:quant`` is a hub id.

    Raises:
        InvalidReferenceError: not an Ollama name.
    """
    name, revision = _split(text)
    parts = name.split("/")
    if parts[0] in _HUB_HOSTS:
        # The tag after a hub id chooses a quantisation, a file; the repository itself floats.
        return model_reference("hf", "/".join(parts[1:])), Revision(RevisionState.NONE)
    if len(parts) == 1:
        name = f"{_OLLAMA}/library/{name}"
    elif len(parts) == _PARTS_WITH_HOST:
        name = f"{_OLLAMA}/{name}"
    return model_reference("oci", name), revision


def read_hub_image(text: str) -> tuple[ModelReference, Revision]:
    """Read a name of Docker Model Runner: an image, or ``hf.co/owner/name``.

    Raises:
        InvalidReferenceError: neither.
    """
    host, _, _ = text.partition("/")
    return read_ollama(text) if host in _HUB_HOSTS else read_image(text)


def _split(text: str) -> tuple[str, Revision]:
    name, at, digest = text.partition("@")
    tail = name.rfind(":")
    tag = ""
    if tail > name.rfind("/"):
        name, tag = name[:tail], name[tail + 1 :]
    if at:
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or not is_sha256_hex(value):
            raise InvalidReferenceError(f"got digest {quote(digest)}, expected sha256: and 64 hexadecimal digits")
        return name, Revision(_DIGEST, digest)
    # A tag of 40 hexadecimal digits is no commit.
    return name, Revision(RevisionState.TAG, hub_revision(tag).value if tag else _LATEST)
