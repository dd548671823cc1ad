"""Orders and reports: all that passes between who holds the key and who parses foreign bytes."""

from dataclasses import dataclass

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import Assurance, FormatReport, LineageClaim, SignatureFacts
from modeltrust.domain.facts import Fact
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner


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
    """

    identity: Identity
    nonce: str
    signers: tuple[TrustedSigner, ...]
    bundles: tuple[bytes, ...]
    read_bytes: bool
    now: int


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
