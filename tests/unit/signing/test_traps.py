"""Every trap of the reference library (facts/signing.md section 4.2): what it does, shown on itself, and what we do instead.

The library's half of a test fails when a release mends the trap; then the row can go from the facts.
"""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import crypto

from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import CertificateTrust, TrustedSigner
from modeltrust.signing.verify import verify
from tests.support import oms, reference_library
from tests.support.certificates import SERVER_AUTH, URI, Pair, authority, leaf
from tests.support.reference_library import files, shards
from tests.support.sigstore_ca import DAY, NOW, fingerprint

KEY = oms.new_key()
Answer = SignatureEvidence | RejectedSignature


class Case:
    """A model, the library and us, side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = oms.write(folder / "model")
        self.scratch = folder / "scratch"

    def sign(self, config: Any | None = None, model: Path | None = None) -> bytes:
        self.scratch.mkdir(exist_ok=True)
        return reference_library.sign(model or self.model, self.scratch / "bundle", KEY, config)

    def library(self, bundle: bytes, model: Path | None = None, config: Any | None = None) -> Exception | None:
        config = config or reference_library.by_key(self.scratch, KEY)
        return reference_library.failure(config, model or self.model, bundle, self.scratch)

    def ours(self, bundle: bytes, model: Path | None = None) -> Answer:
        listing = oms.read(model or self.model)
        return verify(bundle, listing, signers=(oms.key_signer(KEY),), now=NOW, content=None)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def unsigned(answer: Answer) -> tuple[str, ...]:
    assert isinstance(answer, SignatureEvidence), answer
    return answer.unsigned_paths


def refusal(answer: Answer) -> str:
    assert isinstance(answer, RejectedSignature), answer
    assert answer.reason is Reason.SIGNATURE_INVALID
    return answer.message


def bundle_over(listed: list[dict[str, Any]], **serialization: Any) -> bytes:
    return oms.key_bundle(json.dumps(oms.statement(listed, **serialization)).encode(), KEY)


def test_a_reused_verifier_carries_ignored_paths_from_one_model_to_the_next(case: Case) -> None:
    first = oms.write(case.folder / "first", {**oms.FILES, "junk/a": b""})
    second = oms.write(case.folder / "second", {**oms.FILES, "junk/evil.py": b"x"})
    ignoring = case.sign(files().set_ignored_paths(paths=["junk"]), first)
    plain = case.sign(model=case.model)
    reused = reference_library.by_key(case.scratch, KEY)
    assert case.library(ignoring, first, reused) is None
    assert case.library(plain, second, reused) is None
    assert case.library(plain, second) is not None
    assert unsigned(case.ours(ignoring, first)) == ("junk/a",)
    assert unsigned(case.ours(plain, second)) == ("junk/evil.py",)


@pytest.mark.parametrize("path", [".github/modeling_evil.py", ".git/evil.pkl"])
def test_files_under_git_folders_go_unnoticed(case: Case, path: str) -> None:
    bundle = case.sign()
    oms.write(case.model, {path: b"evil"})
    assert case.library(bundle) is None
    assert unsigned(case.ours(bundle)) == (path,)


def test_a_file_at_a_path_that_the_signer_ignored_goes_unnoticed(case: Case) -> None:
    bundle = case.sign(files().set_ignored_paths(paths=["modeling_custom.py"]))
    oms.write(case.model, {"modeling_custom.py": b"evil"})
    assert case.library(bundle) is None
    assert unsigned(case.ours(bundle)) == ("modeling_custom.py",)


def test_an_empty_model_signs_and_verifies(case: Case) -> None:
    empty = case.folder / "empty"
    empty.mkdir()
    bundle = case.sign(model=empty)
    assert case.library(bundle, empty) is None
    assert "no resources" in refusal(case.ours(bundle, empty))


def test_a_signer_who_ignored_everything_signs_any_model(case: Case) -> None:
    bundle = case.sign(files().set_ignored_paths(paths=["."]))
    oms.write(case.model, {"evil.py": b"evil"})
    assert case.library(bundle) is None
    assert "ignore_paths" in refusal(case.ours(bundle))


def test_unsigned_files_pass_when_they_are_ignored(case: Case) -> None:
    bundle = case.sign()
    oms.write(case.model, {"pytorch_model.bin": b"evil"})
    ignoring = reference_library.by_key(case.scratch, KEY).set_ignore_unsigned_files(True)
    assert case.library(bundle, config=ignoring) is None
    as_text = reference_library.by_key(case.scratch, KEY).set_ignore_unsigned_files(True)
    assert isinstance(reference_library.failure(as_text, str(case.model), bundle, case.scratch), TypeError)
    assert unsigned(case.ours(bundle)) == ("pytorch_model.bin",)


def test_a_name_outside_of_the_model_is_read(case: Case) -> None:
    secret = b"not of this model"
    (case.folder / "secret.txt").write_bytes(secret)
    bundle = bundle_over([{"name": "../secret.txt", "algorithm": "sha256", "digest": oms.sha256(secret)}, *oms.resources()])
    ignoring = reference_library.by_key(case.scratch, KEY).set_ignore_unsigned_files(True)
    assert case.library(bundle, config=ignoring) is None
    assert "path" in refusal(case.ours(bundle))


def test_of_a_name_that_stands_twice_the_last_wins(case: Case) -> None:
    first = {"name": "config.json", "algorithm": "sha256", "digest": "0" * 64}
    bundle = bundle_over([first, *oms.resources()])
    assert case.library(bundle) is None
    assert "twice" in refusal(case.ours(bundle))


def test_a_name_that_is_not_canonical_is_accepted(case: Case) -> None:
    listed = [{**item, "name": item["name"].replace("sub/", "sub/./")} for item in oms.resources()]
    bundle = bundle_over(listed)
    assert case.library(bundle) is None
    assert "path" in refusal(case.ours(bundle))


def test_a_sharded_signature_breaks_on_its_own_shard_size(case: Case) -> None:
    bundle = case.sign(shards())
    assert isinstance(case.library(bundle), TypeError)
    answer = case.ours(bundle)
    assert isinstance(answer, SignatureEvidence)
    assert answer.assurance is Assurance.SIGNATURE_ONLY


def test_a_colon_in_a_file_name_breaks_shards(case: Case) -> None:
    oms.write(case.model, {"a:b": b"123456"})
    config = shards()
    bundle = case.sign(config)
    verifier = reference_library.by_key(case.scratch, KEY).set_hashing_config(shards())
    assert case.library(bundle, config=verifier) is not None
    assert unsigned(case.ours(bundle)) == ()


def test_an_empty_file_beside_shards_goes_unnoticed(case: Case) -> None:
    bundle = case.sign(shards())
    oms.write(case.model, {"__init__.py": b""})
    verifier = reference_library.by_key(case.scratch, KEY).set_hashing_config(shards())
    assert case.library(bundle, config=verifier) is None
    assert unsigned(case.ours(bundle)) == ("__init__.py",)


def test_blake2_writes_a_name_that_it_does_not_read(case: Case) -> None:
    bundle = case.sign(files(hashing_algorithm="blake2"))
    assert "blake2b" in str(case.library(bundle))
    answer = case.ours(bundle)
    assert isinstance(answer, SignatureEvidence)
    assert answer.assurance is Assurance.SIGNATURE_ONLY


def test_blake3_shards_are_written_as_files(case: Case) -> None:
    bundle = case.sign(shards(hashing_algorithm="blake3"))
    payload = base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])
    assert json.loads(payload)["predicate"]["serialization"]["method"] == "files"
    answer = case.ours(bundle)
    assert isinstance(answer, SignatureEvidence)
    assert answer.assurance is Assurance.SIGNATURE_ONLY


def test_a_model_of_links_does_not_verify_with_the_settings_that_it_was_signed_with(case: Case) -> None:
    linked = case.folder / "linked"
    linked.mkdir()
    (linked / "config.json").symlink_to(case.model / "config.json")
    bundle = case.sign(files(allow_symlinks=True).set_allow_symlinks(allow_symlinks=True), linked)
    assert case.library(bundle, linked) is not None
    answer = case.ours(bundle, linked)
    assert isinstance(answer, SignatureEvidence)
    assert answer.assurance is Assurance.SIGNATURE_ONLY


@pytest.mark.parametrize("path", [".cache/huggingface/download/config.json.metadata", "model.sig"])
def test_residue_of_tools_and_the_signature_itself_break_a_verification(case: Case, path: str) -> None:
    bundle = case.sign()
    oms.write(case.model, {path: b"residue"})
    assert "Extra files" in str(case.library(bundle))
    assert unsigned(case.ours(bundle)) == ()


def test_statements_of_releases_before_1_0_are_accepted(case: Case) -> None:
    bundle = oms.key_bundle(oms.legacy_payload(), KEY)
    assert case.library(bundle) is None
    assert "legacy" in refusal(case.ours(bundle))


def test_the_wrong_encoding_of_releases_before_1_0_is_accepted(case: Case) -> None:
    payload = oms.payload()
    value = oms.key_document(payload, KEY)
    signed = f"DSSEV1 {len(oms.IN_TOTO)} {oms.IN_TOTO} {len(payload)} {payload!r}".encode()
    signature = KEY.sign(signed, ec.ECDSA(oms.HASHES["secp256r1"]))
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    bundle = json.dumps(value).encode()
    assert case.library(bundle) is None
    assert "legacy signature: got the DSSEV1 encoding" in refusal(case.ours(bundle))


def test_a_bundle_without_hint_gets_a_warning_on_standard_output(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    value = oms.key_document(oms.payload(), KEY)
    raw = base64.b64encode(oms.public_pem(KEY)).decode()
    value["verificationMaterial"]["publicKey"] = {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    bundle = json.dumps(value).encode()
    assert case.library(bundle) is None
    assert "WARNING" in capsys.readouterr().out
    assert unsigned(case.ours(bundle)) == ()
    assert capsys.readouterr().out == ""


# --- certificates -----------------------------------------------------------------------------------------------------------------

ROOT = authority("root", start=NOW - 900 * DAY, end=NOW + 900 * DAY)


def trusting(*roots: Pair) -> TrustedSigner:
    prints = frozenset(fingerprint(root.certificate.public_key()) for root in roots)
    return oms.signer(CertificateTrust(b"".join(root.pem for root in roots), prints, "uri", URI))


def with_certificate(case: Case, signer: Pair) -> tuple[Exception | None, Answer]:
    case.scratch.mkdir(exist_ok=True)
    bundle = reference_library.sign_with_certificate(case.model, case.scratch / "bundle", signer, [ROOT])
    library = reference_library.failure(reference_library.by_certificate(case.scratch, ROOT), case.model, bundle, case.scratch)
    return library, by_certificate(case, bundle)


def test_a_good_certificate_is_accepted_by_both(case: Case) -> None:
    library, ours = with_certificate(case, leaf(ROOT))
    assert library is None
    assert isinstance(ours, SignatureEvidence)


@pytest.mark.parametrize(
    ("signer", "reason"),
    [
        (leaf(ROOT, start=NOW - 600 * DAY, end=NOW - 500 * DAY), Reason.SIGNER_EXPIRED),
        (leaf(ROOT, start=NOW + 200 * DAY, end=NOW + 300 * DAY), Reason.SIGNER_EXPIRED),
        (leaf(ROOT, purposes=[SERVER_AUTH]), Reason.SIGNATURE_INVALID),
    ],
    ids=["expired 500 days ago", "valid in 200 days", "for TLS servers"],
)
def test_a_certificate_for_another_time_or_purpose_is_accepted(case: Case, signer: Pair, reason: Reason) -> None:
    library, ours = with_certificate(case, signer)
    assert library is None
    assert isinstance(ours, RejectedSignature)
    assert ours.reason is reason


def test_an_unrelated_leaf_of_the_same_ca_is_accepted_and_here_recorded_under_its_own_name(case: Case) -> None:
    library, ours = with_certificate(case, leaf(ROOT, names=[x509.UniformResourceIdentifier("https://acme.example/intern")]))
    assert library is None
    assert isinstance(ours, SignatureEvidence)
    assert ours.subject == "uri:https://acme.example/intern"


def test_without_roots_whatever_the_public_web_trusts_is_trusted(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    web = case.folder / "web.pem"
    web.write_bytes(ROOT.pem)
    monkeypatch.setattr("certifi.where", lambda: str(web))
    case.scratch.mkdir()
    bundle = reference_library.sign_with_certificate(case.model, case.scratch / "bundle", leaf(ROOT), [ROOT])
    assert case.library(bundle, config=reference_library.default_certificate_verifier()) is None
    ours = verify(bundle, oms.read(case.model), signers=(), now=NOW, content=None)
    assert isinstance(ours, RejectedSignature)
    assert ours.reason is Reason.SIGNER_NOT_TRUSTED


def test_one_verification_sets_the_time_in_the_store_of_all_and_ours_carries_none(case: Case) -> None:
    case.scratch.mkdir()
    current, old = leaf(ROOT), leaf(ROOT, start=NOW - 600 * DAY, end=NOW - 500 * DAY)
    bundles = [
        reference_library.sign_with_certificate(case.model, case.scratch / "bundle", signer, [ROOT]) for signer in (current, old)
    ]
    verifier = reference_library.by_certificate(case.scratch, ROOT)
    store = reference_library.store_of(verifier)
    assert not valid_in(store, old)  # a fresh store means now
    assert case.library(bundles[1], config=verifier) is None
    assert valid_in(store, old)  # and now it means 600 days before NOW, for whoever verifies next or beside it
    assert not valid_in(store, current)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda item: by_certificate(case, item), bundles * 4))
    assert [isinstance(answer, SignatureEvidence) for answer in answers] == [True, False] * 4


def by_certificate(case: Case, bundle: bytes) -> Answer:
    return verify(bundle, oms.read(case.model), signers=(trusting(ROOT),), now=NOW, content=None)


def valid_in(store: crypto.X509Store, signer: Pair) -> bool:
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(signer.certificate)).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
