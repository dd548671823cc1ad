"""Orders and reports: all that passes between who holds the key and who parses foreign bytes."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import Assurance, FormatReport, LineageClaim, SignatureFacts
from modeltrust.domain.facts import Fact
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner


class SourceType(StrEnum):
    """What kind of server a ModelSource names."""

    HUGGING_FACE = "HuggingFace"
    OCI = "OCI"
    S3 = "S3"
    HTTPS = "HTTPS"


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """How one source may be read: what a ModelSource says, with its credentials. The worker contacts nothing else (attack H2).

    Attributes:
        type: how the server is spoken to.
        endpoints: ``https://host[:port]``; the first is asked, the others are where it may redirect to. Never empty.
        username: of a platform account at the first endpoint (S3: the access key id), empty for none.
        password: or access token (S3: the secret access key); sent to the first endpoint's host only.
        signature_paths: files in the model that hold signatures, beside the usual ones.
        signature_repositories: registry repositories that hold signatures, read without credentials unless on the same host.
        ca: PEM of authorities instead of the system's, empty for the system's.
        allow_private: whether private addresses may be contacted; link-local ones never are.
        max_bytes: of one model.
        max_files: of one model.
    """

    type: SourceType
    endpoints: tuple[str, ...]
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    signature_paths: tuple[str, ...] = ()
    signature_repositories: tuple[str, ...] = ()
    ca: bytes = b""
    allow_private: bool = False
    max_bytes: int = limits.MODEL_BYTES
    max_files: int = limits.FILES


@dataclass(frozen=True, slots=True)
class RemoteBundle:
    """Evidence that a registry keeps: where, by digest, and how it may be read.

    Attributes:
        reference: ``host/repository@sha256:…``.
        access: of the ModelSource that covers it.
    """

    reference: str
    access: SourceAccess


@dataclass(frozen=True, slots=True)
class Order:
    """Examine one model.

    Attributes:
        identity: which one.
        nonce: 32 hex, repeated in the report.
        signers: how to verify; every known signer, since facts are recorded whoever counts later.
        bundles: signature documents supplied as evidence beside those at the source.
        read_bytes: whether every byte must be hashed.
        now: unix seconds, for certificate validity.
        source: where the model may be read; None where the caller opens the source itself (a folder on the command line).
        remote_bundles: evidence to be fetched.
        patient: whether it gives way to models that were never attested; no part of what is ordered.
    """

    identity: Identity
    nonce: str
    signers: tuple[TrustedSigner, ...]
    bundles: tuple[bytes, ...]
    read_bytes: bool
    now: int
    source: SourceAccess | None = None
    remote_bundles: tuple[RemoteBundle, ...] = ()
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found: small and schema-checked before anything is signed.

    Attributes:
        identity: as ordered.
        nonce: as ordered.
        content: the content digest, Unavailable where the source states no digests.
        assurance: how the content digest is known.
        files: number of files.
        bytes: their size together.
        weights: sha256 hex of the weight files.
        signatures: see Statement.
        formats: see Statement.
        lineage: see Statement.
    """

    identity: Identity
    nonce: str
    content: Fact[ContentDigest]
    assurance: Assurance
    files: int
    bytes: int
    weights: tuple[str, ...]
    signatures: Fact[SignatureFacts]
    formats: Fact[FormatReport]
    lineage: Fact[tuple[LineageClaim, ...]]


@dataclass(frozen=True, slots=True)
class Running:
    """The work goes on; ask again with the same order.

    Attributes:
        where: for people, such as the name of a Job.
    """

    where: str


class Worker(Protocol):
    """Who parses foreign bytes for the key holder: in this process, behind HTTP, or in a Job."""

    def examine(self, order: Order) -> Report | Running:
        """The report, or where the work goes on; asking again with an equal order starts nothing twice.

        Raises:
            UnavailableError: the worker does not answer, or not with a report of ours; nothing is known about the model.
            LimitExceededError: there is no room for more work now.
        """
        ...
