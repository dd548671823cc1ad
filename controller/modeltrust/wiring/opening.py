"""Which implementation reads a model, and what it may contact: from an identity and what a ModelSource says.

That the access fits the identity is checked here again, by who contacts: an operator that was confused, or an order that was not
ours, must not make a worker send an account's credentials elsewhere (attack H2).
"""

import base64
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from types import TracebackType
from typing import Self

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, quote
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reference import NO_REVISION, Identity, ModelReference, Revision
from modeltrust.domain.source import Source
from modeltrust.domain.work import SourceAccess, SourceType
from modeltrust.sources.aws_signature import Account
from modeltrust.sources.http import Client
from modeltrust.sources.https import HttpsSource
from modeltrust.sources.huggingface import HUB, STORES, HubSource
from modeltrust.sources.interface import Credentials, Progress
from modeltrust.sources.oci import OciSource
from modeltrust.sources.s3 import S3Source

_ENDPOINT = re.compile(r"https://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?)")
_HTTPS = 443
_HUB = "huggingface.co"
_AWS = re.compile(r"s3(?:[.-][a-z0-9-]+){0,2}\.amazonaws\.com")
_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}  # names images; its API lives there
_SCHEMES = {
    SourceType.HUGGING_FACE: frozenset({"hf"}),
    SourceType.OCI: frozenset({"oci"}),
    SourceType.S3: frozenset({"s3"}),
    SourceType.HTTPS: frozenset({"https"}),
}


@dataclass(slots=True)
class OpenedSource:
    """A source within the bounds of its ModelSource; implements ``domain.source.Source``, and closes its connections.

    Attributes:
        source: does the work.
        client: its connections.
        max_files: of one model.
        max_bytes: of one model.
        progress: told how many bytes have been read since the last call.
    """

    source: Source
    client: Client
    _: KW_ONLY
    max_files: int = limits.FILES
    max_bytes: int = limits.MODEL_BYTES
    progress: Progress | None = None

    def list(self) -> SourceListing:
        """As the source, within the bounds.

        Raises:
            LimitExceededError: more files or bytes than the ModelSource allows.
        """
        listing = self.source.list()
        size = sum(entry.size for entry in listing.files)
        if len(listing.files) > self.max_files:
            raise LimitExceededError(f"got {len(listing.files)} files, expected at most {self.max_files} from this source")
        if size > self.max_bytes:
            raise LimitExceededError(f"got {size} bytes, expected at most {self.max_bytes} from this source")
        return listing

    def read(self, path: str, start: int, length: int) -> bytes:
        """As the source."""
        data = self.source.read(path, start, length)
        if self.progress is not None:
            self.progress(len(data))
        return data

    def signatures(self) -> tuple[bytes, ...]:
        """As the source."""
        return self.source.signatures()

    def close(self) -> None:
        """Close every connection."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What may be read to list a model whose files are packed, which takes reading every byte of it."""

    packed_bytes: int
    unpacked_bytes: int
    progress: Progress | None = None


def open_source(
    identity: Identity,
    access: SourceAccess,
    *,
    allow_loopback: bool = False,
    progress: Progress | None = None,
    read_bytes: bool = True,
) -> OpenedSource:
    """A model where its ModelSource says; nothing is contacted yet.

    Args:
        identity: which model.
        access: how it may be read.
        allow_loopback: whether this machine may be contacted, for tests on one machine.
        progress: told how many bytes have been read since the last call.
        read_bytes: whether every byte may be read; else only small packed models are unpacked.

    Raises:
        InvalidInputError: the access does not fit the identity, so that nothing may be contacted for it.
    """
    hosts = tuple(map(_host, access.endpoints))
    _check_fit(identity.reference, access.type, hosts)
    revision = identity.pin if isinstance(identity.pin, Revision) else NO_REVISION
    contacted = frozenset(hosts) | frozenset(_DOCKER_HUB[host] for host in hosts if host in _DOCKER_HUB)
    client = Client(
        allow_private=access.allow_private,
        allow_loopback=allow_loopback,
        redirect_hosts=contacted,
        hosts=contacted | _buckets(identity.reference, access.type, hosts) | _signature_hosts(access),
        ca=access.ca,
    )
    most = min(access.max_bytes, limits.MODEL_BYTES)
    reading = _Reading(most, most, progress)
    if not read_bytes:
        reading = _Reading(min(most, limits.OCI_PACKED_BYTES), min(most, limits.OCI_UNPACKED_BYTES), progress)
    source = _OPENERS[access.type](identity.reference, revision, client, access, reading)
    return OpenedSource(
        source,
        client,
        max_files=min(access.max_files, limits.FILES),
        max_bytes=most,
        progress=progress,
    )


def open_named(
    reference: ModelReference, revision: Revision, *, access: SourceAccess | None = None, plain_http: bool = False
) -> OpenedSource:
    """A model as somebody at a command line names it, who may contact whatever they name.

    Raises:
        InvalidInputError: no source serves this scheme, or the revision is not immutable where it must be.
    """
    given = access or public_access(reference)
    hosts = tuple(map(_host, given.endpoints))
    _check_fit(reference, given.type, hosts)
    client = Client(allow_private=True, allow_loopback=True, plain_http=plain_http, redirect_hosts=frozenset(hosts), ca=given.ca)
    reading = _Reading(limits.MODEL_BYTES, limits.MODEL_BYTES)
    return OpenedSource(_OPENERS[given.type](reference, revision, client, given, reading), client)


def public_access(reference: ModelReference) -> SourceAccess:
    """Where everybody finds it."""
    named = reference.resolver or f"https://{reference.path.partition('/')[0]}"
    if reference.scheme == "hf":
        stores = (HUB, *STORES) if reference.resolver is None else (reference.resolver,)
        return SourceAccess(SourceType.HUGGING_FACE, stores)
    if reference.scheme == "s3":
        return SourceAccess(SourceType.S3, (reference.resolver or "https://s3.amazonaws.com",))
    if reference.scheme in {"oci", "https"}:
        return SourceAccess(SourceType.OCI if reference.scheme == "oci" else SourceType.HTTPS, (named,))
    raise InvalidInputError(f"got {quote(reference)}, expected a folder, hf://, oci://, s3:// or https://: nothing else is served")


def ports(access: SourceAccess) -> frozenset[int]:
    """The TCP ports that ``open_source`` may connect to. What is no endpoint has none: it is refused there."""
    named = (*access.endpoints, *(f"https://{place.partition('/')[0]}" for place in access.signature_repositories))
    hosts = (found[1] for found in map(_ENDPOINT.fullmatch, named) if found is not None)
    return frozenset(int(host.partition(":")[2] or _HTTPS) for host in hosts)


def _host(endpoint: str) -> str:
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        raise InvalidInputError(f"got endpoint {quote(endpoint)}, expected https://host or https://host:port")
    return found[1].removesuffix(":443")


def _check_fit(reference: ModelReference, kind: SourceType, hosts: tuple[str, ...]) -> None:
    if not hosts:
        raise InvalidInputError(f"got no endpoint for {quote(reference)}, expected one at least")
    if reference.scheme not in _SCHEMES[kind]:
        raise InvalidInputError(f"got {quote(reference)} for a source of type {kind.value}, expected another scheme")
    if not _fits(reference, hosts[0]):
        raise InvalidInputError(f"got {quote(reference)} for a source at {quote(hosts[0])}, which is another place")


def _fits(reference: ModelReference, host: str) -> bool:
    if reference.scheme in {"oci", "https"}:
        named = reference.path.partition("/")[0]
        return reference.resolver is None and host in {named, _DOCKER_HUB.get(named, named)}
    if reference.resolver is not None:
        return reference.resolver == f"https://{host}"
    return host == _HUB if reference.scheme == "hf" else _AWS.fullmatch(host) is not None


def _buckets(reference: ModelReference, kind: SourceType, hosts: tuple[str, ...]) -> frozenset[str]:
    """AWS serves each bucket at a host of its own below the endpoint's."""
    if kind is not SourceType.S3 or reference.resolver is not None:
        return frozenset()
    return frozenset({f"{reference.path.partition('/')[0]}.{hosts[0]}"})


def _signature_hosts(access: SourceAccess) -> frozenset[str]:
    named = {place.partition("/")[0] for place in access.signature_repositories}
    return frozenset(_DOCKER_HUB.get(host, host) for host in named)


def _open_hub(reference: ModelReference, revision: Revision, client: Client, access: SourceAccess, _reading: _Reading) -> Source:
    endpoint = f"https://{_host(access.endpoints[0])}"
    paths = access.signature_paths
    return HubSource(reference, revision, client, endpoint=endpoint, token=access.password, signature_paths=paths)


def _open_oci(reference: ModelReference, revision: Revision, client: Client, access: SourceAccess, reading: _Reading) -> Source:
    host = reference.path.partition("/")[0]
    credentials = Credentials(host, access.username, access.password) if access.password else None
    return OciSource(
        reference,
        revision,
        client,
        credentials,
        signature_paths=access.signature_paths,
        signature_repositories=access.signature_repositories,
        packed_bytes=reading.packed_bytes,
        unpacked_bytes=reading.unpacked_bytes,
        progress=reading.progress,
    )


def _open_s3(reference: ModelReference, revision: Revision, client: Client, access: SourceAccess, _reading: _Reading) -> Source:
    endpoint = f"https://{_host(access.endpoints[0])}"
    account = Account(access.username, access.password) if access.password else None
    paths = access.signature_paths
    return S3Source(reference, revision, client, endpoint=endpoint, account=account, signature_paths=paths)


def _open_https(reference: ModelReference, revision: Revision, client: Client, access: SourceAccess, _reading: _Reading) -> Source:
    return HttpsSource(reference, revision, client, authorization=_authorization(access))


def _authorization(access: SourceAccess) -> str:
    if not access.password:
        return ""
    if not access.username:
        return f"Bearer {access.password}"
    return f"Basic {base64.b64encode(f'{access.username}:{access.password}'.encode()).decode('ascii')}"


_OPENERS: dict[SourceType, Callable[[ModelReference, Revision, Client, SourceAccess, _Reading], Source]] = {
    SourceType.HUGGING_FACE: _open_hub,
    SourceType.OCI: _open_oci,
    SourceType.S3: _open_s3,
    SourceType.HTTPS: _open_https,
}
