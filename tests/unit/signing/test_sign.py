import os
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modeltrust.domain.errors import InvalidInputError, UnavailableError
from modeltrust.domain.evidence import Assurance, SignatureEvidence, SignerKind
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust
from modeltrust.signing.sign import sign_keyless, sign_model
from modeltrust.signing.verify import verify
from tests.support import oms, reference_library
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore
from tests.support.sigstore_server import identity_token, serving


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return oms.write(
        tmp_path / "model", {**oms.FILES, ".gitattributes": b"", ".cache/huggingface/download/x.lock": b"", ".github/a.py": b""}
    )


def key_file(folder: Path, key: object, password: bytes | None = None) -> Path:
    path = folder / "key.pem"
    path.write_bytes(oms.private_pem(key, password))
    return path


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("password", [None, "secret"])
def test_a_signed_folder_verifies_completely(tmp_path: Path, model: Path, inside: bool, password: str | None) -> None:  # noqa: FBT001 - a table
    key = oms.new_key(ec.SECP384R1())
    out = (model if inside else tmp_path) / "model.sig"
    sign_model(model, key_file(tmp_path, key, None if password is None else password.encode()), out, password=password)
    answer = verify(out.read_bytes(), oms.read(model), signers=(oms.key_signer(key),), now=NOW, content=None)
    assert isinstance(answer, SignatureEvidence), answer
    assert (answer.assurance, answer.unsigned_paths) == (Assurance.BYTES_HASHED, ())


def test_signing_again_replaces_the_signature_and_leaves_nothing_else(tmp_path: Path, model: Path) -> None:
    path = key_file(tmp_path, oms.new_key())
    before = {item.name for item in model.iterdir()}
    for _ in range(2):
        sign_model(model, path, model / "model.sig")
    assert {item.name for item in model.iterdir()} == before | {"model.sig"}


def test_the_reference_library_accepts_what_we_signed(tmp_path: Path) -> None:
    key, folder = oms.new_key(), oms.write(tmp_path / "plain")
    sign_model(folder, key_file(tmp_path, key), tmp_path / "bundle")
    verifier = reference_library.by_key(tmp_path / "scratch", key)
    assert reference_library.accepts(verifier, folder, (tmp_path / "bundle").read_bytes(), tmp_path / "scratch")


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())]
)
def test_other_keys_are_refused_before_anything_is_written(tmp_path: Path, model: Path, key: object) -> None:
    with pytest.raises(InvalidInputError, match="expected an EC key"):
        sign_model(model, key_file(tmp_path, key), model / "model.sig")
    assert not (model / "model.sig").exists()


def test_what_cannot_be_signed_is_refused(tmp_path: Path, model: Path) -> None:
    path = key_file(tmp_path, oms.new_key())
    residue = oms.write(tmp_path / "residue", {".gitignore": b""})
    with pytest.raises(InvalidInputError, match="no files"):
        sign_model(residue, path, tmp_path / "out")
    with pytest.raises(InvalidInputError, match="expected a folder"):
        sign_model(tmp_path / "nowhere", path, tmp_path / "out")
    with pytest.raises(InvalidInputError, match="cannot read the key"):
        sign_model(model, tmp_path / "nokey", tmp_path / "out")
    with pytest.raises(InvalidInputError, match="cannot write"):
        sign_model(model, path, tmp_path / "nowhere" / "out")
    (model / "link").symlink_to(model / "config.json")
    with pytest.raises(InvalidInputError, match="symbolic link"):
        sign_model(model, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unusable_instance_is_unavailable(tmp_path: Path, model: Path) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(b"{}")
    with pytest.raises(UnavailableError, match="cannot sign"):
        sign_keyless(model, tmp_path / "out", token="no token", trust_config=config)  # noqa: S106 - not one
    assert not (tmp_path / "out").exists()


# --- keyless: model-signing and sigstore-python against an instance on loopback ------------------------------------------------


@pytest.fixture(scope="module")
def instance() -> TestSigstore:
    return TestSigstore(now=int(time.time()))  # the client compares with the real clock


def keyless(model: Path, out: Path, instance: TestSigstore, *, refusing: str = "", token: str = "") -> None:
    with serving(instance, refusing=refusing) as url:
        config = out.parent / "trust.json"
        config.write_bytes(instance.trust_config(url, version=2))
        sign_keyless(model, out, token=token or identity_token(), trust_config=config)


def test_a_pipe_in_the_folder_is_refused_before_anything_is_read(tmp_path: Path, model: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(InvalidInputError, match="no ordinary file"):
        sign_model(model, key_file(tmp_path, oms.new_key()), tmp_path / "out")


def test_a_folder_signed_without_a_key_verifies_completely(model: Path, instance: TestSigstore) -> None:
    out = model / "model.sig"
    keyless(model, out, instance)
    trust = KeylessTrust((KeylessIdentity("release", ISSUER, IDENTITY),), instance.trusted_root(), instance.fingerprints())
    answer = verify(out.read_bytes(), oms.read(model), signers=(oms.signer(trust),), now=instance.now, content=None)
    assert isinstance(answer, SignatureEvidence), answer
    assert (answer.kind, answer.issuer, answer.subject) == (SignerKind.KEYLESS, ISSUER, IDENTITY)
    assert (answer.assurance, answer.unsigned_paths, answer.signed_at) == (Assurance.BYTES_HASHED, (), instance.now)


@pytest.mark.parametrize("path", ["/api/v2/signingCert", "/api/v2/log/entries"])
def test_a_service_that_refuses_leaves_no_signature(tmp_path: Path, model: Path, instance: TestSigstore, path: str) -> None:
    with pytest.raises(UnavailableError, match="cannot sign"):
        keyless(model, tmp_path / "out", instance, refusing=path)
    assert not (tmp_path / "out").exists()


def test_an_expired_token_leaves_no_signature(tmp_path: Path, model: Path, instance: TestSigstore) -> None:
    with pytest.raises(UnavailableError, match="IdentityError"):
        keyless(model, tmp_path / "out", instance, token=identity_token(lives=-30))
    assert not (tmp_path / "out").exists()


def test_the_token_is_in_no_message(tmp_path: Path, model: Path, instance: TestSigstore) -> None:
    token = identity_token()
    with pytest.raises(UnavailableError) as caught:
        keyless(model, tmp_path / "out", instance, refusing="/api/v2/signingCert", token=token)
    assert token.split(".")[1] not in str(caught.value)
