"""What a branch or tag means now: a commit of a hub, a digest of a registry. For people who pin; nothing here is evidence."""

import hashlib
import re
from urllib.parse import quote as percent_quote

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import InvalidReferenceError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.domain.reference import ModelReference, Revision, RevisionState
from modeltrust.sources.http import Client
from modeltrust.sources.interface import Credentials
from modeltrust.sources.manifests import OCI_INDEX
from modeltrust.sources.registry import Repository

_HUB = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OK = 200
_NO_SUCH = frozenset({400, 401, 403, 404})  # the hub answers 401 for repositories that do not exist
_ACCEPT = (
    f"{OCI_INDEX}, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


def resolve(
    reference: ModelReference, revision: Revision, client: Client, credentials: Credentials | None = None, *, hub: str = _HUB
) -> Revision:
    """The immutable revision that a floating one stands for now.

    Args:
        reference: ``hf`` or ``oci``.
        revision: a branch, a tag, or none: the default one.
        client: does the requests.
        credentials: of a registry.
        hub: who is asked about ``hf://`` without a resolver of its own.

    Raises:
        InvalidReferenceError: no source of this scheme has revisions.
        NotFoundError: there is no such model or revision, or none that may be read.
        UnavailableError: no usable answer.
    """
    if revision.immutable:
        return revision
    if reference.scheme == "hf":
        return Revision(RevisionState.COMMIT, _commit(reference, revision.value or "main", client, hub))
    if reference.scheme == "oci":
        return Revision(RevisionState.DIGEST, _digest(reference, revision.value or "latest", client, credentials))
    raise InvalidReferenceError(f"got {quote(reference)}, expected hf:// or oci://: nothing else has revisions that stay")


def _commit(reference: ModelReference, name: str, client: Client, hub: str) -> str:
    where = f"{reference.resolver or hub}/api/models/{reference.path}/revision/{percent_quote(name, safe='')}"
    response = client.get(where, max_bytes=limits.HUB_MODEL_BYTES)
    if response.status in _NO_SUCH:
        raise NotFoundError(f"there is no {reference} at {quote(name)}, or it may not be read without a token")
    if response.status != _OK:
        raise UnavailableError(f"got status {response.status} for {reference} at {quote(name)}, expected {_OK}")
    try:
        document = strict_json.loads(response.body, max_bytes=limits.HUB_MODEL_BYTES)
    except MalformedError as error:
        raise UnavailableError(f"got no usable answer for {reference} at {quote(name)}: {error}") from error
    said = document if isinstance(document, dict) else {}
    if said.get("id") != reference.path:  # a renamed repository redirects to whoever has its new name (M10)
        raise UnavailableError(f"got the model {quote(said.get('id'))} for {reference}, expected the same name: it may be renamed")
    commit = said.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise UnavailableError(f"got {quote(commit)} for {reference} at {quote(name)}, expected a 40-hex commit")
    return commit


def _digest(reference: ModelReference, tag: str, client: Client, credentials: Credentials | None) -> str:
    host, _, name = reference.path.partition("/")
    body = Repository(host, name, client, credentials).manifest(tag, accept=_ACCEPT)
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
