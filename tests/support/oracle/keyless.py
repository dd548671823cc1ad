"""Rows by keyless bundle: every negative of facts/signing.md section 6.6, against sigstore-python's own Verifier."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import AllOf, AnyOf, Identity, OIDCIssuer, OIDCIssuerV2
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

from modeltrust.domain.signer import KeylessIdentity, KeylessTrust, TrustedSigner
from tests.support import bundle_changes as changes
from tests.support import oms, reference_library
from tests.support.oracle.bench import Answers, Bench, Row, ours
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore, b64, rfc3339

INSTANCE, FOREIGN = TestSigstore(), TestSigstore(name="foreign")
PAYLOAD = oms.payload()
PROVENANCE = json.dumps({**oms.statement(), "predicateType": "https://slsa.dev/provenance/v1"}).encode()
OTHER_URI = "https://github.com/acme/models/.github/workflows/other.yml@refs/heads/main"
Ask = Callable[[Path], Answers]
Root = Callable[[dict[str, Any]], None]


def trusting(root: dict[str, Any]) -> TrustedSigner:
    """The one identity under a trust root."""
    return oms.signer(
        KeylessTrust((KeylessIdentity("release", ISSUER, IDENTITY),), json.dumps(root).encode(), INSTANCE.fingerprints())
    )


def minted(
    version: int = 1,
    change: changes.Change | None = None,
    *,
    root: Root | None = None,
    instance: TestSigstore = INSTANCE,
    text: Callable[[str], str] = str,
    **options: Any,
) -> Ask:
    """A bundle of the test CA.

    Args:
        version: of Rekor.
        change: what happens to the bundle afterwards.
        root: what happens to the trust root.
        instance: whose bundle it is; the trust root is always INSTANCE's.
        text: what happens to the JSON text.
        options: of ``TestSigstore.document``.
    """

    def ask(_: Path) -> Answers:
        document = instance.document(PAYLOAD, version=version, **options) if options else instance.sample(PAYLOAD, version)
        trusted = INSTANCE.root_document()
        if change is not None:
            change(document)
        if root is not None:
            root(trusted)
        bundle = text(json.dumps(document)).encode()
        return Answers(ours(bundle, oms.listing(), trusting(trusted)), sigstore_accepts(bundle, trusted))

    return ask


def sigstore_accepts(bundle: bytes, root: dict[str, Any]) -> bool:
    """sigstore-python, with the same rule about the issuer as ours: either extension."""
    policy = AllOf([Identity(identity=IDENTITY), AnyOf([OIDCIssuer(ISSUER), OIDCIssuerV2(ISSUER)])])
    try:
        verifier = Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(json.dumps(root))))
        verifier.verify_dsse(Bundle.from_json(bundle), policy)
    except Exception:  # noqa: BLE001 - any of the twelve kinds
        return False
    return True


def by_library(version: int, *, altered: bool = False, payload: bytes = PAYLOAD) -> Ask:
    """model-signing's own verifier, which reads the statement and the files too."""

    def ask(folder: Path) -> Answers:
        bench = Bench(folder)
        bundle = json.dumps(INSTANCE.sample(payload, version)).encode()
        if altered:
            oms.write(bench.model, {"config.json": b"evil"})
        verifier = reference_library.keyless(bench.scratch, INSTANCE.trust_config(), identity=IDENTITY, issuer=ISSUER)
        return bench.answers(bundle, verifier, signer=trusting(INSTANCE.root_document()))

    return ask


def without(part: str) -> Root:
    return lambda root: root.update({part: []})


def ended(part: str, at: int) -> Root:
    def change(root: dict[str, Any]) -> None:
        (root[part][0].get("validFor") or root[part][0]["publicKey"]["validFor"])["end"] = rfc3339(at)

    return change


def another(part: str) -> Root:
    return lambda root: root.update({part: FOREIGN.root_document()[part]})


def second_token(document: dict[str, Any]) -> None:
    tokens = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    tokens.append({"signedTimestamp": b64(FOREIGN.token(b"x", NOW))})


def certificate_pool(document: dict[str, Any]) -> None:
    changes.single_certificate_in_0_2(document)
    material = document["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}


def duplicate_key(text: str) -> str:
    return text.replace('"mediaType"', '"mediaType": "x", "mediaType"', 1)


def both(name: str, make: Callable[[int], Ask], *, good: bool = False) -> tuple[Row, Row]:
    """The same for Rekor v1 and v2."""
    return Row(f"keyless v1: {name}", make(1), good), Row(f"keyless v2: {name}", make(2), good)


def _changed(change: changes.Change) -> Callable[[int], Ask]:
    return lambda version: minted(version, change)


def _options(**options: Any) -> Callable[[int], Ask]:
    return lambda version: minted(version, **options)


def _rooted(root: Root) -> Callable[[int], Ask]:
    return lambda version: minted(version, root=root)


INTOTO = {"kind": "intoto", "version": "0.0.2"}
ROWS = (
    *both("good", minted, good=True),
    *both("good, by model-signing", by_library, good=True),
    *both("an issuer in the newer extension only", _options(omit=["issuer"]), good=True),
    Row("keyless v1: a P-384 key with SHA-256", minted(1, curve=ec.SECP384R1()), good=True),
    *both("media type 0.2 with a pool", _changed(certificate_pool), good=True),
    *both("a model altered after signing", lambda version: by_library(version, altered=True)),
    *both("another predicate", lambda version: by_library(version, payload=PROVENANCE)),
    *both("another identity", _options(identity=OTHER_URI)),
    *both("another issuer", _options(issuer="https://accounts.example")),
    *both("no issuer", _options(omit=["issuer", "issuer_v2"])),
    *both("no name", _options(omit=["san"])),
    *both("two names", _options(names=[x509.UniformResourceIdentifier(IDENTITY), x509.RFC822Name("b@acme.example")])),
    *both("no SCT", _options(omit=["sct"])),
    *both("two SCTs", _options(scts=2)),
    *both("an SCT of a foreign CT log", _options(sct_by=FOREIGN)),
    *both("no authority key identifier", _options(omit=["aki"])),
    *both("no key usage", _options(omit=["usage"])),
    *both("no extended key usage", _options(omit=["purpose"])),
    *both("a name that is not critical", _options(critical=["usage"])),
    *both("a purpose that is critical", _options(critical=["san", "usage", "purpose"])),
    *both("a P-384 key with SHA-384", _options(curve=ec.SECP384R1(), signature_hash=hashes.SHA384())),
    *both("an entry of another signature", _options(entry_signature=b"another signature over the same payload")),
    *both("another payload type, really signed", _options(payload_type="text/plain")),
    *both("a leaf that expired an hour before", _options(leaf_start=NOW - 3600 - 600)),
    *both("a foreign instance", _options(instance=FOREIGN)),
    *both("no log entry", _changed(changes.entries(0))),
    *both("two log entries", _changed(changes.entries(2))),
    *both("another root hash", _changed(changes.proof("rootHash", b64(bytes(32))))),
    *both("no audit path", _changed(changes.proof("hashes", []))),
    *both("no checkpoint", _changed(changes.proof("checkpoint", None))),
    *both("no inclusion proof", _changed(changes.entry("inclusionProof", None))),
    *both("another checkpoint", _changed(changes.checkpoint_altered)),
    *both("another log id", _changed(changes.entry("logId", {"keyId": b64(bytes(32))}))),
    *both("kind intoto", _changed(changes.entry("kindVersion", INTOTO))),
    *both("another kind", _changed(changes.entry("kindVersion", {"kind": "hashedrekord", "version": "0.0.1"}))),
    *both("another body", _changed(changes.entry("canonicalizedBody", b64(b"{}")))),
    *both("another payload", _changed(changes.payload_altered)),
    *both("another payload type", _changed(changes.payload_type_altered)),
    *both("a second signature", _changed(changes.second_signature)),
    *both("media type 0.2 with a single certificate", _changed(changes.single_certificate_in_0_2)),
    *both("a key twice", _options(text=duplicate_key)),
    *both("a root without logs", _rooted(without("tlogs"))),
    *both("a root without CT logs", _rooted(without("ctlogs"))),
    *both("a root without CAs", _rooted(without("certificateAuthorities"))),
    *both("a root with another log", _rooted(another("tlogs"))),
    *both("a root with another CT log", _rooted(another("ctlogs"))),
    *both("an ended log", _rooted(ended("tlogs", NOW))),
    *both("an ended CT log", _rooted(ended("ctlogs", NOW))),
    *both("an ended CA", _rooted(ended("certificateAuthorities", NOW))),
    *both("a log that ends a second later", _rooted(ended("tlogs", NOW + 1)), good=True),
    Row("keyless v1: no timestamp authority, none needed", minted(1, root=without("timestampAuthorities")), good=True),
    Row("keyless v1: a timestamp beside the promise", minted(1, timestamped=True), good=True),
    Row("keyless v1: another time", minted(1, changes.entry("integratedTime", str(NOW + 1)))),
    Row("keyless v1: another log index", minted(1, changes.entry("logIndex", "1235"))),
    Row("keyless v1: no promise", minted(1, changes.promise_removed)),
    Row("keyless v2: another log index, which nothing covers", minted(2, changes.entry("logIndex", "99")), good=True),
    Row("keyless v2: no timestamp", minted(2, changes.token_removed)),
    Row("keyless v2: a timestamp over another message", minted(2, stamp_message=b"another message")),
    Row("keyless v2: a timestamp of a foreign authority", minted(2, stamper=FOREIGN)),
    Row("keyless v2: the same timestamp twice", minted(2, changes.token_twice)),
    Row("keyless v2: two good timestamps", minted(2, stamps=2)),
    Row("keyless v2: a good timestamp and 31 bad ones", minted(2, changes.tokens(32))),
    Row("keyless v2: a bad timestamp beside a good one", minted(2, second_token)),
    Row("keyless v2: a good timestamp and 32 bad ones", minted(2, changes.tokens(33))),
    Row("keyless v2: a root without timestamp authorities", minted(2, root=without("timestampAuthorities"))),
    Row("keyless v2: an ended timestamp authority", minted(2, root=ended("timestampAuthorities", NOW))),
)
