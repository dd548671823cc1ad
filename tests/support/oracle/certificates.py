"""Rows by the signer's certificate, and the bundles of every release."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.signer import CertificateTrust, KeyTrust, TrustedSigner
from modeltrust.signing import keys
from tests.support import oms, reference_library
from tests.support.certificates import SERVER_AUTH, URI, Pair, authority, leaf
from tests.support.oracle.bench import Answers, Bench, Row
from tests.support.sigstore_ca import DAY, NOW, b64, fingerprint

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "signing"
ROOT = authority("root", start=NOW - 900 * DAY, end=NOW + 900 * DAY)
INTERMEDIATE = authority("intermediate", ROOT, path_length=0)
OTHER = authority("other")
Ask = Callable[[Path], Answers]


def trusting(*roots: Pair) -> TrustedSigner:
    """Whoever has a certificate for URI under these roots."""
    prints = frozenset(fingerprint(root.certificate.public_key()) for root in roots)
    return oms.signer(CertificateTrust(b"".join(root.pem for root in roots), prints, "uri", URI))


def signed(signer: Pair, chain: Sequence[Pair] = (ROOT,), *, root: Pair = ROOT, by: Pair | None = None) -> Ask:
    """A bundle with this leaf and chain, under this root.

    Args:
        signer: whose certificate comes first.
        chain: what follows.
        root: the only one that both sides trust.
        by: whose key signs, if it is not the signer's.
    """

    def ask(folder: Path) -> Answers:
        bench = Bench(folder)
        value = oms.key_document(oms.payload(), (by or signer).key)
        certificates = [{"rawBytes": b64(item.der)} for item in (signer, *chain)]
        value["verificationMaterial"] = {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}
        verifier = reference_library.by_certificate(bench.scratch, root)
        return bench.answers(json.dumps(value).encode(), verifier, signer=trusting(root))

    return ask


def web_root(folder: Path) -> Answers:
    """No root stated; the library then takes those of the public web, one of which is ours here."""
    bench = Bench(folder)
    web = folder / "web.pem"
    web.write_bytes(ROOT.pem)
    bundle = reference_library.sign_with_certificate(bench.model, bench.scratch / "bundle", leaf(ROOT), [ROOT])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("certifi.where", lambda: str(web))
        verifier = reference_library.default_certificate_verifier()
    return bench.answers(bundle, verifier, signer=oms.signer(CertificateTrust(b"", frozenset(), "uri", URI)))


def released(bundle: Path) -> Ask:
    """A bundle that a release made."""

    def ask(folder: Path) -> Answers:
        bench = Bench(folder)
        root = Pair(x509.load_pem_x509_certificate((ASSETS / "root.pem").read_bytes()), None)
        public = ASSETS / "key.pub"
        if bundle.stem.endswith("key"):
            verifier = reference_library.by_key_file(public)
            signer = oms.signer(KeyTrust(public.read_bytes(), keys.fingerprint(keys.load_public_key(public.read_bytes()))))
        else:
            verifier, signer = reference_library.by_certificate(bench.scratch, root), trusting(root)
        return bench.answers(bundle.read_bytes(), verifier, model=ASSETS / "model", signer=signer)

    return ask


GOOD = leaf(ROOT)
ROWS = (
    Row("certificate: good", signed(GOOD), good=True),
    Row("certificate: under an intermediate", signed(leaf(INTERMEDIATE), (INTERMEDIATE,)), good=True),
    Row("certificate: P-384", signed(leaf(ROOT, key=ec.generate_private_key(ec.SECP384R1()))), good=True),
    Row("certificate: under another root", signed(GOOD, root=OTHER)),
    Row("certificate: under a root that only the bundle knows", signed(leaf(OTHER), (OTHER,))),
    Row("certificate: the intermediate is missing", signed(leaf(INTERMEDIATE), ())),
    Row("certificate: another key signed", signed(GOOD, by=leaf(ROOT))),
    Row("certificate: expired 500 days ago", signed(leaf(ROOT, start=NOW - 600 * DAY, end=NOW - 500 * DAY))),
    Row("certificate: valid in 200 days", signed(leaf(ROOT, start=NOW + 200 * DAY, end=NOW + 300 * DAY))),
    Row("certificate: for TLS servers", signed(leaf(ROOT, purposes=[SERVER_AUTH]))),
    Row("certificate: for no purpose", signed(leaf(ROOT, purposes=[]))),
    Row("certificate: not for signatures", signed(leaf(ROOT, purposes=[], digital_signature=False))),
    Row("certificate: a CA as signer", signed(leaf(ROOT, ca=True))),
    Row("certificate: an issuer without keyCertSign", signed(leaf(weak := authority("weak", ROOT, cert_sign=False)), (weak,))),
    Row(
        "certificate: another name under the same root",
        signed(leaf(ROOT, names=[x509.UniformResourceIdentifier("https://x.example")])),
    ),
    Row("certificate: no name", signed(leaf(ROOT, names=[]))),
    Row("certificate: two names", signed(leaf(ROOT, names=[x509.UniformResourceIdentifier(URI), x509.DNSName("x.example")]))),
    Row("certificate: its own root", signed(own := leaf(None), (), root=own)),
    Row("certificate: no root stated, a public web root", web_root),
    *(
        Row(f"release: {path.stem}", released(path), good=not path.stem.startswith("0.2."))
        for path in sorted(ASSETS.glob("*.json"))
    ),
)
