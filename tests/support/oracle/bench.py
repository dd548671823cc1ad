"""One row of the oracle matrix, and how both sides are asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modeltrust.domain.decision import Status
from modeltrust.domain.evidence import SignatureEvidence, SignatureFacts
from modeltrust.domain.facts import Known
from modeltrust.domain.globs import Glob
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.signer import Purpose, TrustedSigner
from modeltrust.policy.policy import Attested
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.signing.verify import verify
from tests.support import oms, reference_library
from tests.support.sigstore_ca import NOW
from tests.support.statements import a_statement
from tests.support.trust import a_found, a_trust

KEY = oms.new_key()
REQUIREMENT = Signature((Alternative(Purpose.AUTHOR, ("acme",)),))


@dataclass(frozen=True, slots=True)
class Answers:
    """Whether the model counts as signed.

    Attributes:
        ours: a policy that demands a signature, with every default.
        theirs: the library raises nothing.
    """

    ours: bool
    theirs: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One input.

    Attributes:
        name: unique, what is special about it.
        ask: both sides, given the path of a folder that may not exist yet.
        good: whether both should accept; a row that is not good is refused by both unless it is listed as a difference.
    """

    name: str
    ask: Callable[[Path], Answers]
    good: bool = False


class Bench:
    """A model on disk, signed by the key that everybody trusts."""

    def __init__(self, folder: Path, files: Mapping[str, bytes] | None = None) -> None:
        self.folder = folder
        self.model = oms.write(folder / "model", files)
        self.scratch = folder / "scratch"
        self.scratch.mkdir(exist_ok=True)

    def sign(self, config: Any | None = None, model: Path | None = None) -> bytes:
        """By the library, as a publisher would."""
        return reference_library.sign(model or self.model, self.scratch / "bundle", KEY, config)

    def by_key(self) -> Any:
        """A fresh verifier of the library."""
        return reference_library.by_key(self.scratch, KEY)

    def answers(
        self, bundle: bytes, config: Any | None = None, *, model: Path | None = None, signer: TrustedSigner | None = None
    ) -> Answers:
        """Both sides about a bundle and what is on disk now."""
        where = model or self.model
        return Answers(
            ours(bundle, listing_of(where), signer or oms.key_signer(KEY)),
            reference_library.accepts(config or self.by_key(), where, bundle, self.scratch),
        )


def listing_of(model: Path) -> SourceListing:
    """Every file of a folder; a single file is listed under its name."""
    return oms.read(model) if model.is_dir() else oms.listing({model.name: model.read_bytes()}, bytes_read=True)


def ours(bundle: bytes, listing: SourceListing, signer: TrustedSigner | None) -> bool:
    """Whether the signature requirement passes; without a signer none is trusted."""
    signers = () if signer is None else (replace(signer, scope=(Glob("hf://**"),)),)
    answer = verify(bundle, listing, signers=signers, now=NOW, content=None)
    facts = SignatureFacts((answer,)) if isinstance(answer, SignatureEvidence) else SignatureFacts((), (answer,))
    trust = a_trust(now=NOW, signers=MappingProxyType({item.name: item for item in signers}))
    findings = REQUIREMENT.check(Attested(a_found(), a_statement(signatures=Known(facts))), trust)
    return bool(findings) and all(finding.status is Status.PASS for finding in findings)
