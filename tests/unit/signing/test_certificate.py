import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from modeltrust.domain import limits
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import CertificateTime, CertificateTrust, TrustedSigner
from modeltrust.signing.verify import verify
from tests.support import oms
from tests.support.certificates import CODE_SIGNING, SERVER_AUTH, TIME_STAMPING, URI, Pair, authority, leaf
from tests.support.sigstore_ca import DAY, NOW, b64, fingerprint, timestamp

ROOT = authority("root")
INTERMEDIATE = authority("intermediate", ROOT, path_length=0)
OTHER = authority("other root")
TSA = leaf(INTERMEDIATE, names=(), purposes=[TIME_STAMPING], critical_purpose=True, start=NOW - 20 * DAY, end=NOW + 20 * DAY)


def trusting(*roots: Pair, pem: bytes | None = None) -> TrustedSigner:
    pems = b"".join(root.pem for root in roots) if pem is None else pem
    prints = frozenset(fingerprint(root.certificate.public_key()) for root in roots)
    return oms.signer(CertificateTrust(pems, prints, "uri", URI, CertificateTime.AT_VERIFICATION))


def bundle(
    signing: Pair, *chain: Pair, signed_by: Pair | None = None, token: bytes | None = None, stamp: Pair | None = None, at: int = NOW
) -> bytes:
    """A certificate bundle; ``stamp`` adds a timestamp of that authority's leaf, with its chain, at ``at``."""
    value = oms.key_document(oms.payload(), (signed_by or signing).key)
    material: dict[str, Any] = {
        "x509CertificateChain": {"certificates": [{"rawBytes": b64(item.der)} for item in (signing, *chain)]},
        "tlogEntries": [],
    }
    if stamp is not None:
        signature = base64.b64decode(value["dsseEnvelope"]["signatures"][0]["sig"])
        token = timestamp(signature, at, stamp.key, stamp.certificate, chain=[INTERMEDIATE.certificate])
    if token is not None:
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}
    return json.dumps({**value, "verificationMaterial": material}).encode()


def judged(
    data: bytes, *, signers: Sequence[TrustedSigner] = (trusting(ROOT),), now: int = NOW
) -> SignatureEvidence | RejectedSignature:
    return verify(data, oms.listing(), signers=tuple(signers), now=now, content=None)


def accepted(data: bytes, **options: Any) -> SignatureEvidence:
    result = judged(data, **options)
    assert isinstance(result, SignatureEvidence), result
    return result


def refused(data: bytes, reason: Reason, says: str = "", **options: Any) -> None:
    result = judged(data, **options)
    assert isinstance(result, RejectedSignature), result
    assert (result.reason, says in result.message) == (reason, True), result.message


LEAF = leaf(INTERMEDIATE)


# --- what is accepted -----------------------------------------------------------------------------------------------------------


def test_a_certificate_signature_is_recorded_with_its_name_anchor_and_validity() -> None:
    assert accepted(bundle(LEAF, INTERMEDIATE)) == SignatureEvidence(
        SignatureForm.OMS,
        SignerKind.CERTIFICATE,
        fingerprint(LEAF.key.public_key()),
        subject=f"uri:{URI}",
        vouched_by=(fingerprint(ROOT.key.public_key()),),
        authorities=tuple(sorted(fingerprint(pair.key.public_key()) for pair in (INTERMEDIATE, ROOT))),
        assurance=Assurance.SOURCE_DIGESTS,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
    )


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        (x509.RFC822Name("release@acme.example"), "email:release@acme.example"),
        (x509.DNSName("release.acme.example"), "dns:release.acme.example"),
    ],
)
def test_each_kind_of_name_is_recorded_with_its_kind(name: x509.GeneralName, subject: str) -> None:
    assert accepted(bundle(leaf(INTERMEDIATE, names=[name]), INTERMEDIATE)).subject == subject


def test_an_intermediate_may_be_the_anchor() -> None:
    evidence = accepted(bundle(LEAF), signers=[trusting(INTERMEDIATE)])
    assert evidence.vouched_by == (fingerprint(INTERMEDIATE.key.public_key()),)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_each_curve_verifies(curve: ec.EllipticCurve) -> None:
    assert accepted(bundle(leaf(INTERMEDIATE, key=ec.generate_private_key(curve)), INTERMEDIATE)).subject == f"uri:{URI}"


def test_the_roots_of_every_signer_are_tried_and_unreadable_ones_skipped() -> None:
    signers = [trusting(pem=b"junk"), trusting(pem=b""), trusting(OTHER), trusting(ROOT)]
    assert accepted(bundle(LEAF, INTERMEDIATE), signers=signers).vouched_by == (fingerprint(ROOT.key.public_key()),)


def test_the_validity_is_that_of_the_whole_chain() -> None:
    short = authority("short", ROOT, start=NOW - 10, end=NOW + 10)
    evidence = accepted(bundle(leaf(short), short))
    assert (evidence.not_before, evidence.not_after) == (NOW - 10, NOW + 10)


# --- chains ---------------------------------------------------------------------------------------------------------------------


def test_a_chain_to_no_trusted_root_is_not_trusted() -> None:
    refused(bundle(LEAF, INTERMEDIATE), Reason.SIGNER_NOT_TRUSTED, "no trusted root", signers=[trusting(OTHER)])
    refused(bundle(LEAF, INTERMEDIATE), Reason.SIGNER_NOT_TRUSTED, "no trusted root", signers=[])


def test_a_root_that_the_bundle_brings_along_is_trusted_with_nothing() -> None:
    refused(bundle(leaf(OTHER), OTHER), Reason.SIGNER_NOT_TRUSTED)


def test_a_missing_intermediate_breaks_the_chain() -> None:
    refused(bundle(LEAF), Reason.SIGNER_NOT_TRUSTED)


def test_public_web_roots_are_not_trusted_when_no_root_is_stated() -> None:
    refused(bundle(LEAF, INTERMEDIATE), Reason.SIGNER_NOT_TRUSTED, signers=[trusting(pem=b"")])


def test_a_self_signed_leaf_is_no_anchor_of_itself() -> None:
    own = leaf(None)
    refused(bundle(own), Reason.SIGNER_NOT_TRUSTED, signers=[trusting(own)])


def test_an_issuer_without_key_cert_sign_breaks_the_chain_also_as_anchor() -> None:
    weak = authority("weak", ROOT, cert_sign=False)
    refused(bundle(leaf(weak), weak), Reason.SIGNER_NOT_TRUSTED)
    refused(bundle(leaf(weak)), Reason.SIGNER_NOT_TRUSTED, signers=[trusting(weak)])


def test_an_issuer_that_is_no_ca_breaks_the_chain() -> None:
    no_ca = authority("no ca", ROOT, ca=False)
    refused(bundle(leaf(no_ca), no_ca), Reason.SIGNER_NOT_TRUSTED)


def test_an_issuer_for_other_purposes_breaks_the_chain_also_as_anchor() -> None:
    # The company's CA for TLS hangs below the same root; whoever runs it must not speak for models.
    tls = authority("tls", ROOT, purposes=[SERVER_AUTH])
    refused(bundle(leaf(tls), tls), Reason.SIGNER_NOT_TRUSTED)
    refused(bundle(leaf(tls)), Reason.SIGNER_NOT_TRUSTED, signers=[trusting(tls)])
    for purpose in (CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE):
        code = authority("code", ROOT, purposes=[SERVER_AUTH, purpose])
        accepted(bundle(leaf(code), code))


def test_a_path_that_is_too_long_breaks_the_chain() -> None:
    second = authority("second", INTERMEDIATE)
    refused(bundle(leaf(second), second, INTERMEDIATE), Reason.SIGNER_NOT_TRUSTED)


def test_an_unknown_critical_extension_breaks_the_chain() -> None:
    odd = leaf(INTERMEDIATE, extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)])
    refused(bundle(odd, INTERMEDIATE), Reason.SIGNER_NOT_TRUSTED)


# --- leaves ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signing", "says"),
    [
        (leaf(INTERMEDIATE, purposes=[SERVER_AUTH]), "extended key usage"),
        (leaf(INTERMEDIATE, purposes=[TIME_STAMPING]), "extended key usage"),
        (leaf(INTERMEDIATE, purposes=[]), "extended key usage"),
        (leaf(INTERMEDIATE, digital_signature=False), "digitalSignature"),
        (leaf(INTERMEDIATE, ca=True), "CA certificate"),
        (authority("as leaf", INTERMEDIATE), "CA certificate"),
        (leaf(INTERMEDIATE, names=[]), "subject alternative name"),
        (leaf(INTERMEDIATE, names=[x509.UniformResourceIdentifier(URI)] * 2), "2 subject alternative names"),
        (leaf(INTERMEDIATE, names=[x509.UniformResourceIdentifier(URI), x509.DNSName("a.example")]), "2 subject"),
        (leaf(INTERMEDIATE, names=[x509.RegisteredID(CODE_SIGNING)]), "expected one URI"),
        (leaf(INTERMEDIATE, names=[x509.UniformResourceIdentifier("x:" + "a" * limits.CLAIM_CHARACTERS)]), "characters"),
    ],
)
def test_a_leaf_that_is_not_one_for_signing_code_is_invalid(signing: Pair, says: str) -> None:
    refused(bundle(signing, INTERMEDIATE), Reason.SIGNATURE_INVALID, says)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ed25519"]
)
def test_a_leaf_with_another_kind_of_key_is_invalid(key: Any) -> None:
    refused(bundle(leaf(INTERMEDIATE, key=key), INTERMEDIATE, signed_by=LEAF), Reason.SIGNATURE_INVALID, "EC key")


def test_a_signature_of_another_key_is_invalid() -> None:
    refused(bundle(LEAF, INTERMEDIATE, signed_by=leaf(INTERMEDIATE)), Reason.SIGNATURE_INVALID, "not one of the certificate's key")


def test_the_old_encoding_over_a_statement_of_today_is_refused_as_legacy() -> None:
    value = json.loads(bundle(LEAF, INTERMEDIATE))
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    old = f"DSSEV1 {len(oms.IN_TOTO)} {oms.IN_TOTO} {len(payload)} {payload!r}".encode()
    value["dsseEnvelope"]["signatures"][0]["sig"] = b64(LEAF.key.sign(old, ec.ECDSA(hashes.SHA256())))
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "legacy signature: got the DSSEV1 encoding")


def test_another_leaf_of_the_same_ca_is_recorded_under_its_own_name() -> None:
    other = leaf(INTERMEDIATE, names=[x509.UniformResourceIdentifier("https://acme.example/intern")])
    assert accepted(bundle(other, INTERMEDIATE)).subject == "uri:https://acme.example/intern"


@pytest.mark.parametrize("der", [b"", b"junk", b"\x30\x03\x02\x01\x00"])
def test_bytes_that_are_no_certificate_are_invalid(der: bytes) -> None:
    value = json.loads(bundle(LEAF, INTERMEDIATE))
    value["verificationMaterial"]["x509CertificateChain"]["certificates"][1]["rawBytes"] = b64(der)
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "cannot read")


# --- time -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [NOW - 2 * DAY, NOW + 2 * DAY, NOW + 500 * DAY])
def test_a_certificate_that_is_not_valid_now_is_expired(now: int) -> None:
    refused(bundle(LEAF, INTERMEDIATE), Reason.SIGNER_EXPIRED, "is not valid", now=now)


def test_a_leaf_that_expired_500_days_ago_and_one_valid_in_200_days_are_expired() -> None:
    old = authority("old root", start=NOW - 900 * DAY, end=NOW + 900 * DAY)
    for start, end in ((NOW - 600 * DAY, NOW - 500 * DAY), (NOW + 200 * DAY, NOW + 300 * DAY)):
        refused(bundle(leaf(old, start=start, end=end)), Reason.SIGNER_EXPIRED, signers=[trusting(old)])


@pytest.mark.parametrize("expired", ["intermediate", "anchor"])
def test_an_expired_issuer_ends_the_chain_also_as_anchor(expired: str) -> None:
    ended = authority("ended", ROOT, start=NOW - 9 * DAY, end=NOW - 60)
    signing = leaf(ended, start=NOW - 5 * DAY)
    signers = [trusting(ROOT if expired == "intermediate" else ended)]
    refused(bundle(signing, ended), Reason.SIGNER_EXPIRED, signers=signers)


def test_a_timestamp_under_the_same_roots_says_when_it_signed() -> None:
    ended = leaf(INTERMEDIATE, start=NOW - 10 * DAY, end=NOW - 5 * DAY)
    evidence = accepted(bundle(ended, INTERMEDIATE, stamp=TSA, at=NOW - 7 * DAY))
    assert (evidence.signed_at, evidence.not_after) == (NOW - 7 * DAY, NOW - 5 * DAY)
    assert evidence.vouched_by == (fingerprint(ROOT.key.public_key()),)


def test_the_timestamp_s_own_anchor_is_recorded_too() -> None:
    apart = stamp_of(issuer=OTHER)
    evidence = accepted(bundle(LEAF, INTERMEDIATE, stamp=apart), signers=[trusting(ROOT, OTHER)])
    assert evidence.signed_at == NOW
    assert evidence.vouched_by == tuple(sorted(fingerprint(pair.key.public_key()) for pair in (ROOT, OTHER)))


def test_a_timestamp_outside_the_certificate_s_validity_is_expired() -> None:
    ended = leaf(INTERMEDIATE, start=NOW - 10 * DAY, end=NOW - 5 * DAY)
    refused(bundle(ended, INTERMEDIATE, stamp=TSA, at=NOW - 2 * DAY), Reason.SIGNER_EXPIRED)


def test_an_expired_certificate_without_timestamp_proves_nothing_about_when_it_signed() -> None:
    ended = leaf(INTERMEDIATE, start=NOW - 10 * DAY, end=NOW - 5 * DAY)
    refused(bundle(ended, INTERMEDIATE), Reason.SIGNER_EXPIRED)


def stamp_of(**options: Any) -> Pair:
    defaults: dict[str, Any] = {"names": (), "purposes": [TIME_STAMPING], "critical_purpose": True, "start": NOW - 20 * DAY}
    return leaf(options.pop("issuer", INTERMEDIATE), **{**defaults, **options})


@pytest.mark.parametrize(
    "stamp",
    [
        stamp_of(issuer=OTHER),
        stamp_of(issuer=None),
        stamp_of(purposes=[CODE_SIGNING]),
        stamp_of(critical_purpose=False),
        stamp_of(digital_signature=False),
        stamp_of(ca=True),
        stamp_of(end=NOW - 9 * DAY),
        stamp_of(start=NOW - 6 * DAY),
    ],
    ids=["foreign", "self-signed", "code signing", "not critical", "no signature usage", "ca", "ended", "not yet"],
)
def test_a_timestamp_that_nobody_vouches_for_is_none(stamp: Pair) -> None:
    ended = leaf(INTERMEDIATE, start=NOW - 10 * DAY, end=NOW - 5 * DAY)
    refused(
        bundle(ended, INTERMEDIATE, stamp=stamp, at=NOW - 7 * DAY), Reason.SIGNER_EXPIRED, "no timestamp of a trusted authority"
    )
    assert accepted(bundle(LEAF, INTERMEDIATE, stamp=stamp, at=NOW - 7 * DAY)).signed_at is None


@pytest.mark.parametrize(
    "token", [timestamp(b"another message", NOW, TSA.key, TSA.certificate), b"", b"junk", b"\x30\x03\x02\x01\x00"]
)
def test_a_timestamp_over_something_else_is_none(token: bytes) -> None:
    assert accepted(bundle(LEAF, INTERMEDIATE, token=token)).signed_at is None


def test_two_timestamps_are_refused() -> None:
    value = json.loads(bundle(LEAF, INTERMEDIATE, token=b"a"))
    value["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"].append({"signedTimestamp": b64(b"b")})
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "2 timestamps")


def test_more_roots_than_the_limit_are_refused() -> None:
    signers = [trusting(pem=b"%d" % number) for number in range(limits.KEYS_TRIED + 1)]
    refused(bundle(LEAF, INTERMEDIATE), Reason.LIMIT_EXCEEDED, "roots", signers=signers)
