"""TrustedSigner: what is written becomes who is believed, and nothing broken is ever read as "anybody"."""

import hashlib
import json
from typing import Any

import pytest

from modeltrust.api.compile import compile_signer
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import CertificateTime, CertificateTrust, KeylessTrust, KeyTrust, Purpose
from tests.support import api_objects as objects
from tests.support.api_objects import DELETED, changed


def test_a_key_is_named_by_the_hash_of_its_subject_public_key_info() -> None:
    signer = compile_signer(objects.key_signer())
    assert isinstance(signer.trust, KeyTrust)
    assert signer.trust.fingerprint == hashlib.sha256(objects.public_der()).hexdigest()
    assert (signer.name, signer.labels) == ("acme-key", (("team", "platform"),))
    assert signer.purposes == {Purpose.AUTHOR}
    assert signer.scope == (Glob("hf://acme/*"),)
    assert (signer.not_before, signer.not_after) == (1_767_225_600, 1_798_761_600)


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "secp521r1"])
def test_every_curve_that_oms_signs_with_is_accepted(curve: str) -> None:
    signer = compile_signer(changed(objects.key_signer(), "spec.publicKey.pem", objects.public_pem(curve)))
    assert isinstance(signer.trust, KeyTrust)
    assert signer.trust.fingerprint == hashlib.sha256(objects.public_der(curve)).hexdigest()


def test_windows_line_ends_and_indentation_change_no_key() -> None:
    pem = "\r\n".join(f"  {line}" for line in objects.public_pem().splitlines()) + "\r\n\r\n"
    assert compile_signer(changed(objects.key_signer(), "spec.publicKey.pem", pem)) == compile_signer(objects.key_signer())


def test_an_inline_root_is_known_by_every_key_that_may_vouch() -> None:
    signer = compile_signer(objects.keyless_signer())
    assert isinstance(signer.trust, KeylessTrust)
    assert signer.trust.root_fingerprints == {
        hashlib.sha256(objects.public_der(c)).hexdigest() for c in ("secp256r1", "secp384r1", "secp521r1")
    }
    assert json.loads(signer.trust.trusted_root or b"") == objects.trusted_root()
    release, people = signer.trust.identities
    assert release.claims == (("sourceRepositoryURI", "https://github.com/acme/models"),)
    assert (people.subject, people.subject_pattern) == ("", Glob("*@acme.example"))


def test_without_a_trust_root_the_public_good_instance_vouches() -> None:
    signer = compile_signer(changed(objects.keyless_signer(), "spec.keyless.trustRoot", DELETED))
    assert isinstance(signer.trust, KeylessTrust)
    assert (signer.trust.trusted_root, signer.trust.root_fingerprints) == (None, frozenset())


def test_a_certificate_has_its_own_roots_and_one_name() -> None:
    signer = compile_signer(objects.certificate_signer())
    assert isinstance(signer.trust, CertificateTrust)
    assert signer.trust.root_fingerprints == {hashlib.sha256(objects.public_der("secp384r1")).hexdigest()}
    assert (signer.trust.san_type, signer.trust.san_value) == ("uri", "spiffe://acme.example/signer")
    assert signer.trust.time is CertificateTime.AT_SIGNING


KEY, KEYLESS, CERTIFICATE = objects.key_signer, objects.keyless_signer, objects.certificate_signer
IDENTITY = "spec.keyless.identities[0]"
RSA = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALs=\n-----END PUBLIC KEY-----"
SMALL_RSA = (
    "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDEQdl7ygV0jBUeihEcMZoqwz2i\n"
    "+XwYpeXHKGmwU2E9YhHl8KVYjtMBsYRuGLQ7M08Ea/n4VYoV2iBcGZ8eLTWOLoYk\n-----END PUBLIC KEY-----"
)


@pytest.mark.parametrize(
    ("make", "path", "value", "where"),
    [
        (KEY, "spec.purposes", [], "spec.purposes"),
        (KEY, "spec.purposes", DELETED, "spec.purposes"),
        (KEY, "spec.purposes", ["author"], "spec.purposes[0]"),
        (KEY, "spec.purposes", ["Author", "Author"], "spec.purposes"),
        (KEY, "spec.purposes", "Author", "spec.purposes"),
        (KEY, "spec.purpose", ["Author"], "spec.purpose: got an unknown field"),
        (KEY, "spec.scope", DELETED, "spec.scope: got nothing"),
        (KEY, "spec.scope", {}, "spec.scope.models: got nothing"),
        (KEY, "spec.scope.models", [], "spec.scope.models"),
        (KEY, "spec.scope.models", None, "spec.scope.models: got null"),
        (KEY, "spec.scope.models", ["hf://acme/*"] * 2, "spec.scope.models"),
        (KEY, "spec.scope.models", [f"hf://acme/m{n}" for n in range(limits.API_GLOBS + 1)], "spec.scope.models"),
        (KEY, "spec.scope.models[0]", "", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "acme/*", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/***", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/?", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/[ab]", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/../other", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "HF://acme/*", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "oci://Registry.acme.example/**", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf+https://Hub.acme.example/**", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acmé/*", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/m@", "spec.scope.models[0]"),
        (KEY, "spec.scope.models[0]", "hf://acme/m@a@b", "spec.scope.models[0]"),
        (KEY, "spec.validity", {}, "spec.validity"),
        (KEY, "spec.validity", None, "spec.validity: got null"),
        (KEY, "spec.validity.notAfter", "2026-01-01T00:00:00Z", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", "2027-01-01", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", "2027-02-30T00:00:00Z", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", "2027-01-01T00:00:00", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", "2027-01-01 00:00:00Z", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", "0001-01-01T00:00:00+23:59", "spec.validity.notAfter"),
        (KEY, "spec.validity.notAfter", 1_798_761_600, "spec.validity.notAfter"),
        (KEY, "spec.validity.notafter", "2027-01-01T00:00:00Z", "spec.validity.notafter: got an unknown field"),
        (KEY, "spec.publicKey", DELETED, "spec: got none of them"),
        (KEY, "spec.publicKey", {}, "spec.publicKey.pem"),
        (KEY, "spec.certificate", CERTIFICATE()["spec"]["certificate"], "spec: got publicKey and certificate"),
        (KEY, "spec.publicKey.pem", "", "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", "nonsense", "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.public_pem() * 2, "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", "see below\n" + objects.public_pem(), "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.certificate_pem(), "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.public_pem().replace("PUBLIC", "PRIVATE"), "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.public_pem()[:60] + "\n-----END PUBLIC KEY-----", "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.public_pem("secp256k1"), "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", RSA, "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", SMALL_RSA, "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", objects.public_pem() + "ключ", "spec.publicKey.pem"),
        (KEY, "spec.publicKey.pem", "x" * (limits.PEM_CHARACTERS + 1), "spec.publicKey.pem"),
        (KEYLESS, "spec.keyless.identities", [], "spec.keyless.identities"),
        (KEYLESS, "spec.keyless.identities", DELETED, "spec.keyless.identities"),
        (KEYLESS, "spec.keyless.identities[1].name", "release", "spec.keyless.identities"),
        (KEYLESS, "spec.keyless.identities[1].name", "Release", "spec.keyless.identities[1].name"),
        (KEYLESS, f"{IDENTITY}.issuer", DELETED, f"{IDENTITY}.issuer: got nothing"),
        (KEYLESS, f"{IDENTITY}.issuer", "", f"{IDENTITY}.issuer"),
        (KEYLESS, f"{IDENTITY}.issuer", "http://accounts.acme.example", f"{IDENTITY}.issuer"),
        (KEYLESS, f"{IDENTITY}.issuer", "https://*", f"{IDENTITY}.issuer"),
        (KEYLESS, f"{IDENTITY}.issuer", "https://me@acme.example", f"{IDENTITY}.issuer"),
        (KEYLESS, f"{IDENTITY}.subject", DELETED, f"{IDENTITY}: got none of them"),
        (KEYLESS, f"{IDENTITY}.subject", "", f"{IDENTITY}.subject"),
        (KEYLESS, f"{IDENTITY}.subject", "https://github.com/acme/*", f"{IDENTITY}.subject"),
        (KEYLESS, f"{IDENTITY}.subject", "a b", f"{IDENTITY}.subject"),
        (KEYLESS, f"{IDENTITY}.subjectPattern", "*@acme.example", f"{IDENTITY}: got subject and subjectPattern"),
        (KEYLESS, "spec.keyless.identities[1].subjectPattern", "**", "spec.keyless.identities[1].subjectPattern"),
        (KEYLESS, "spec.keyless.identities[1].subjectPattern", "*@*", "spec.keyless.identities[1].subjectPattern"),
        (KEYLESS, "spec.keyless.identities[1].subjectPattern", "", "spec.keyless.identities[1].subjectPattern"),
        (KEYLESS, f"{IDENTITY}.claims", {}, f"{IDENTITY}.claims"),
        (KEYLESS, f"{IDENTITY}.claims", {"repository": "x"}, f"{IDENTITY}.claims.repository"),
        (KEYLESS, f"{IDENTITY}.claims", {"sourceRepositoryURI": "https://github.com/*"}, f"{IDENTITY}.claims.sourceRepositoryURI"),
        (KEYLESS, f"{IDENTITY}.claims", {"sourceRepositoryURI": ""}, f"{IDENTITY}.claims.sourceRepositoryURI"),
        (KEYLESS, f"{IDENTITY}.claims", {"sourceRepositoryURI": None}, f"{IDENTITY}.claims.sourceRepositoryURI: got null"),
        (KEYLESS, f"{IDENTITY}.claim", {}, f"{IDENTITY}.claim: got an unknown field"),
        (KEYLESS, "spec.keyless.trustRoot", {}, "spec.keyless.trustRoot.inline"),
        (KEYLESS, "spec.keyless.trustRoot.inline", "{}", "spec.keyless.trustRoot.inline"),
        (KEYLESS, "spec.keyless.trustRoot.inline", "not json", "spec.keyless.trustRoot.inline"),
        (KEYLESS, "spec.keyless.trustRoot.inline", "[]", "spec.keyless.trustRoot.inline"),
        (KEYLESS, "spec.keyless.trustRoot.inline", '{"mediaType": "a", "mediaType": "b"}', "spec.keyless.trustRoot.inline"),
        (CERTIFICATE, "spec.certificate.roots", "", "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.public_pem(), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.certificate_pem(ca=False), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.certificate_pem(ca=None), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.certificate_pem() + "# note", "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.twice_extended_pem(), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.version_nine_pem(), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", objects.certificate_pem() * 33, "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.roots", RSA.replace("PUBLIC KEY", "CERTIFICATE"), "spec.certificate.roots"),
        (CERTIFICATE, "spec.certificate.subjectAlternativeName", DELETED, "spec.certificate.subjectAlternativeName"),
        (CERTIFICATE, "spec.certificate.subjectAlternativeName", {}, "spec.certificate.subjectAlternativeName: got none of them"),
        (
            CERTIFICATE,
            "spec.certificate.subjectAlternativeName.dns",
            "acme.example",
            "spec.certificate.subjectAlternativeName: got uri and dns",
        ),
        (CERTIFICATE, "spec.certificate.subjectAlternativeName.uri", "spiffe://*", "spec.certificate.subjectAlternativeName.uri"),
        (CERTIFICATE, "spec.certificate.validity", "Always", "spec.certificate.validity"),
        (KEY, "metadata.name", "Acme", "metadata.name"),
        (KEY, "metadata.name", DELETED, "metadata.name"),
        (KEY, "metadata.labels", {"team": 1}, "metadata.labels"),
        (KEY, "metadata.labels", "team", "metadata.labels"),
        (KEY, "metadata.creationTimestamp", 7, "metadata.creationTimestamp"),
        (KEY, "metadata.creationTimestamp", "yesterday", "metadata.creationTimestamp"),
        (KEY, "metadata", DELETED, "metadata: got nothing"),
        (KEY, "spec", DELETED, "spec: got nothing, expected a map"),
        (KEY, "spec", [], "spec: got a list of 0, expected a map"),
        (KEY, "specs", {}, "specs: got an unknown field"),
        (KEY, "kind", "ModelPolicy", "kind: "),
        (KEY, "apiVersion", "modeltrust.dev/v1", "kind: "),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(make: Any, path: str, value: Any, where: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        compile_signer(changed(make(), path, value))
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("mediaType", "application/json", "expected a trusted_root.json"),
        ("tlogs", [], "0 log keys"),
        ("tlogs", DELETED, "0 log keys"),
        ("certificateAuthorities", [], "0 CA keys"),
        ("tlogs", {}, "tlogs: got something else"),
        ("tlogs", [1], "tlogs: got something else"),
        ("ctlogs", [{}] * 33, "ctlogs: got something else"),
        ("ctlogs[0].publicKey", DELETED, "ctlogs[0].publicKey: got no rawBytes"),
        ("ctlogs[0].publicKey.validFor", DELETED, "ctlogs[0].publicKey.validFor: got no start"),
        ("certificateAuthorities[0].validFor", [], "certificateAuthorities[0].validFor: got no start"),
        ("certificateAuthorities[0].validFor.start", "soon", "certificateAuthorities[0].validFor: got"),
        ("timestampAuthorities[0].validFor.end", "2026-01-01T00:00:00", "without a zone"),
        ("tlogs[0].publicKey.validFor.start", 7, "validFor: got"),
        ("ctlogs[0].publicKey.rawBytes", "!", "ctlogs[0].publicKey.rawBytes"),
        ("ctlogs[0].publicKey.rawBytes", "AAAA", "ctlogs[0].publicKey: got a key that cannot be read"),
        ("certificateAuthorities[0].certChain", DELETED, "certificateAuthorities[0]: got no certChain"),
        ("certificateAuthorities[0].certChain.certificates", [], "certificateAuthorities[0]: got no certChain"),
        ("timestampAuthorities[0].certChain.certificates[0]", {}, "timestampAuthorities[0]: got no rawBytes"),
        ("timestampAuthorities[0].certChain.certificates[0].rawBytes", "AAAA", "timestampAuthorities[0]: got a certificate"),
    ],
)
def test_a_root_that_cannot_be_read_whole_vouches_for_nobody(path: str, value: Any, where: str) -> None:
    root = json.dumps(changed(objects.trusted_root(), path, value))
    with pytest.raises(InvalidInputError) as caught:
        compile_signer(changed(objects.keyless_signer(), "spec.keyless.trustRoot.inline", root))
    assert str(caught.value).startswith("spec.keyless.trustRoot.inline: ")
    assert where in str(caught.value)


def test_the_windows_of_an_inline_root_are_known_for_every_key() -> None:
    root = changed(objects.trusted_root(), "tlogs[0].publicKey.validFor.end", "2026-06-01T00:00:00.5Z")
    trust = compile_signer(changed(objects.keyless_signer(), "spec.keyless.trustRoot.inline", json.dumps(root))).trust
    assert isinstance(trust, KeylessTrust)
    assert {fingerprint for fingerprint, _, _ in trust.windows} == trust.root_fingerprints
    start = 1_767_225_600  # 2026-01-01
    assert {(begin, end) for _, begin, end in trust.windows} == {(start, None), (start, 1_780_272_001)}


def test_a_private_key_is_refused_and_never_repeated() -> None:
    secret = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGcUMnsecretsecretsecret\n-----END EC PRIVATE KEY-----"
    with pytest.raises(InvalidInputError) as caught:
        compile_signer(changed(objects.key_signer(), "spec.publicKey.pem", secret))
    assert "secret" not in str(caught.value)


def test_several_problems_are_named_and_the_rest_is_counted() -> None:
    broken = changed(objects.key_signer(), "spec", {"purposes": [], "scope": {"models": ["a", "b", "c"]}, "publicKey": {"pem": ""}})
    with pytest.raises(
        InvalidInputError, match=r"^spec\.purposes: .*; spec\.publicKey\.pem: .*; spec\.scope\.models\[0\]: .*; and 2 more$"
    ):
        compile_signer(broken)
