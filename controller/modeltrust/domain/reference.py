r"""Canonical model references: what is named, by whom it is resolved, and whether it can change.

    hf://owner/name[@<40 hex>]        hf+https://hub.acme.example/owner/name   (another resolver is another identity)
    oci://host/repository@sha256:…    s3://bucket/key/…   s3+https://minio.acme.example/bucket/key/…   pvc://ns/claim/path

Reject, do not repair: non-ASCII, ``%``, ``?``, ``#``, userinfo, ``..``, ``//``, ``\``, upper-case hosts (design/api.md;
attacks H9, M5, M10, M11). Spellings of a kind (``hf://owner/name:rev`` in KServe, bare ids in vLLM) are read by
``references.uris``.
"""

import re
from dataclasses import field
from enum import StrEnum

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, is_sha256_hex
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.values import value

_SCHEME = re.compile(r"[a-z][a-z0-9]{0,15}")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,255}}\Z){_LABEL}(?:\.{_LABEL})*(?::([1-9][0-9]{{0,4}}))?")
_PATH = re.compile(r"(?!(?:.*/)?\.\.?(?:/|\Z))[A-Za-z0-9._~:+=,!$&'()-]+(?:/[A-Za-z0-9._~:+=,!$&'()-]+)*")
_HUB_PART = "[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_PATH = re.compile(rf"(?!.*(?:--|\.\.|\.git\Z)){_HUB_PART}(?:/{_HUB_PART})?")
_OCI_PART = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
# What nearly every path looks like, as one linear expression each: a strict part of what the rules above allow.
_USUAL = {
    "hf": re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*/[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*(?<!\.git)").fullmatch,
    "oci": re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)+").fullmatch,
}
_USUAL_CHARACTERS = 63  # the shortest limit of a part: a host's label
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXT_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_HOSTED = {"oci": "443", "https": "443", "http": "80"}  # schemes whose path starts with a host, and the port that goes unsaid
_DEFAULT_RESOLVERS = {"hf": "https://huggingface.co"}
_PORTS = 65_535
_REPOSITORY_PARTS = 2  # host and at least one component
_CLAIM_PARTS = 2


class RevisionState(StrEnum):
    """How far a revision is fixed."""

    COMMIT = "commit"  # 40 hexadecimal digits of a hub commit
    DIGEST = "digest"  # sha256 of content
    TAG = "tag"  # tag or branch: floating
    NONE = "none"  # floating by nature, or nothing stated
    LIVE = "live"  # re-synchronised after admission
    OPAQUE = "opaque"  # cannot be known from the string


_BY_COMMIT, _BY_DIGEST = RevisionState.COMMIT, RevisionState.DIGEST  # names of a module are found faster than members


@value
class Revision:
    """A revision as stated.

    Attributes:
        state: how far it is fixed.
        value: 40 hex (commit), ``sha256:<64 hex>`` (digest), the name (tag), else empty.
    """

    state: RevisionState
    value: str = ""

    @property
    def immutable(self) -> bool:
        """Whether the same revision always names the same content."""
        return self.state is _BY_COMMIT or self.state is _BY_DIGEST

    def __str__(self) -> str:
        return self.value


NO_REVISION = Revision(RevisionState.NONE)


@value
class ModelReference:
    """What is named and who resolves it; without the revision.

    Attributes:
        scheme: ``hf``, ``oci``, ``s3`` …
        path: canonical path under the scheme.
        resolver: ``https://host[:port]`` where it is not the scheme's default, else None. Another resolver is another name (C1).
    """

    scheme: str
    path: str
    resolver: str | None = None
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        where = f"{self.scheme}://" if self.resolver is None else f"{self.scheme}+{self.resolver}/"
        self.text = f"{where}{self.path}"  # type: ignore[misc] # frozen by mypy alone (domain.values); set once, here

    def __str__(self) -> str:
        return self.text


@value
class Identity:
    """The key of every fact: a reference and what fixes its content.

    Attributes:
        reference: what is named.
        pin: an immutable revision, or the content digest for sources that have no revisions.
        key: canonical text, the key of the statement index.
    """

    reference: ModelReference
    pin: Revision | ContentDigest
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.pin, Revision):
            if not _is_pin(self.pin):
                raise InvalidReferenceError(f"got revision {quote(self.pin)} of {self.reference}, expected an immutable one")
            self.key = f"{self.reference.text}@{self.pin.value}"  # type: ignore[misc] # as above
        else:
            self.key = f"{self.reference.text}@content:{self.pin}"  # type: ignore[misc] # as above

    def __str__(self) -> str:
        return self.key


def parse_reference(text: str) -> tuple[ModelReference, Revision]:
    """Read a canonical reference with an optional ``@revision``.

    Returns:
        The reference, and its revision: commit, digest, tag, or NO_REVISION.

    Raises:
        InvalidReferenceError: the text is not canonical.
    """
    if not text or len(text) > limits.REFERENCE_CHARACTERS:
        raise InvalidReferenceError(f"got a reference of {len(text)} characters, expected 1 to {limits.REFERENCE_CHARACTERS}")
    head, separator, rest = text.partition("://")
    if not separator or not rest:
        raise InvalidReferenceError(f"got {quote(text)}, expected scheme://path")
    body, at, revision = rest.partition("@")
    if at and not revision:
        raise InvalidReferenceError(f'got {quote(text)}, expected a revision after "@"')
    scheme, plus, transport = head.partition("+")
    if not plus:
        return model_reference(scheme, body), _revision(scheme, revision)
    if transport != "https":
        raise InvalidReferenceError(f"got {quote(text)}, expected {scheme}+https://host/path")
    host, slash, path = body.partition("/")
    if not slash:
        raise InvalidReferenceError(f"got {quote(text)}, expected {scheme}+https://host/path")
    return model_reference(scheme, path, resolver=f"https://{host}"), _revision(scheme, revision)


def parse_identity(text: str, *, content: ContentDigest | None = None) -> Identity:
    """Read a reference that is pinned, by its own revision or by a content digest given beside it.

    Raises:
        InvalidReferenceError: the text is not canonical or nothing pins it.
    """
    reference, revision = parse_reference(text)
    if content is not None:
        if revision.state is not RevisionState.NONE:
            raise InvalidReferenceError(f"got {quote(text)} with a revision and a content digest, expected one of them")
        return Identity(reference, content)
    if not revision.immutable:
        raise InvalidReferenceError(f"got {quote(text)}, expected @ and a 40-hex commit or sha256 digest")
    return Identity(reference, revision)


def parse_identity_key(key: str) -> Identity:
    """Read the text that ``Identity.key`` writes.

    Raises:
        InvalidReferenceError: anything else.
        MalformedError: the content digest is malformed.
    """
    text, marker, digest = key.partition("@content:")
    if marker:
        return parse_identity(text, content=ContentDigest.parse(digest))
    return parse_identity(key)


def model_reference(scheme: str, path: str, *, resolver: str | None = None) -> ModelReference:
    """Build a reference from checked parts.

    Raises:
        InvalidReferenceError: a part is not canonical.
    """
    if resolver is None and len(path) <= _USUAL_CHARACTERS:
        usual = _USUAL.get(scheme)
        if usual is not None and usual(path):
            return ModelReference(scheme, path)
    if not _SCHEME.fullmatch(scheme):
        raise InvalidReferenceError(f"got scheme {quote(scheme)}, expected lower-case letters and digits")
    if resolver is not None and not (resolver.startswith("https://") and _is_host(resolver[8:], "443")):
        raise InvalidReferenceError(
            f"got resolver {quote(resolver)}, expected https://host in lower case, without the default port"
        )
    if resolver is not None and resolver == _DEFAULT_RESOLVERS.get(scheme):
        raise InvalidReferenceError(f"got resolver {quote(resolver)}, expected none: it is the default of {scheme}://")
    _check_path(scheme, path)
    if len(scheme) + len(path) + len(resolver or "") + 4 > limits.REFERENCE_CHARACTERS:
        raise InvalidReferenceError(f"got a reference of more than {limits.REFERENCE_CHARACTERS} characters")
    return ModelReference(scheme, path, resolver)


def _is_host(text: str, default_port: str) -> bool:
    # one spelling for one server (attack H9): the default port is left out, a port has no leading zero
    found = _HOST.fullmatch(text)
    return found is not None and (found[1] is None or (found[1] != default_port and int(found[1]) <= _PORTS))


def _is_pin(revision: Revision) -> bool:
    if revision.state is _BY_COMMIT:
        return _COMMIT.fullmatch(revision.value) is not None
    return revision.state is _BY_DIGEST and revision.value[:7] == "sha256:" and is_sha256_hex(revision.value[7:])


def hub_revision(text: str) -> Revision:
    """The revision of a hub repository as stated: 40 hex is a commit, anything else floats (a short hash is no pin).

    Raises:
        InvalidReferenceError: the text cannot name a revision.
    """
    if _COMMIT.fullmatch(text):
        return Revision(RevisionState.COMMIT, text)
    return Revision(RevisionState.TAG, _text_revision(text))


def _revision(scheme: str, text: str) -> Revision:
    if not text:
        return NO_REVISION
    algorithm, _, value = text.partition(":")
    if algorithm == "sha256" and is_sha256_hex(value):
        return Revision(RevisionState.DIGEST, text)
    if scheme == "hf":
        return hub_revision(text)
    return Revision(RevisionState.TAG, _text_revision(text))


def _text_revision(text: str) -> str:
    if not _TEXT_REVISION.fullmatch(text) or ".." in text or "//" in text:
        raise InvalidReferenceError(f"got revision {quote(text)}, expected a branch, tag, commit or sha256 digest")
    return text


def _check_path(scheme: str, path: str) -> None:
    if scheme == "hf":
        # huggingface_hub's own rule (facts/signing.md section 7.1); a one-word id redirects and so never verifies.
        if not _HUB_PATH.fullmatch(path):
            raise InvalidReferenceError(f"got {quote(f'hf://{path}')}, expected hf://owner/name")
        return
    if not _PATH.fullmatch(path):
        raise InvalidReferenceError(f"got {quote(f'{scheme}://{path}')}, expected a path of plain ASCII without . or .. parts")
    parts = path.split("/")
    if scheme in _HOSTED:
        _check_hosted_path(scheme, path, parts)
    elif scheme == "pvc" and len(parts) < _CLAIM_PARTS:
        raise InvalidReferenceError(f"got {quote(f'pvc://{path}')}, expected pvc://namespace/claim/path")


def _check_hosted_path(scheme: str, path: str, parts: list[str]) -> None:
    if not _is_host(parts[0], _HOSTED[scheme]):
        raise InvalidReferenceError(f"got {quote(f'{scheme}://{path}')}, expected a host in lower case, without the default port")
    if scheme == "oci" and (len(parts) < _REPOSITORY_PARTS or not all(_OCI_PART.fullmatch(part) for part in parts[1:])):
        raise InvalidReferenceError(f"got {quote(f'oci://{path}')}, expected oci://host/repository")
