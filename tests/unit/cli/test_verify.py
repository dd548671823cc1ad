"""`modeltrust verify` says pass only for files that somebody trusted signed, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

from modeltrust.cli.main import main

KEY = ec.generate_private_key(ec.SECP256R1())
Verify = Callable[..., tuple[int, str]]
hashed: Callable[[], hashing.Config] = hashing.Config  # the reference library states no types
signed: Callable[[], signing.Config] = signing.Config


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def verify(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    spec = {"purposes": ["Author"], "publicKey": {"pem": pem}, "scope": {"models": ["hf://acme/*"]}}
    signer = {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec}
    (tmp_path / "signer.yaml").write_text(yaml.safe_dump(signer))

    def run(*more: str, name: str = "hf://acme/guard") -> tuple[int, str]:
        capsys.readouterr()
        code = main(["verify", str(model), "--signer", str(tmp_path / "signer.yaml"), "--model", name, *more])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def sign(model: Path, key: Path, config: hashing.Config | None = None) -> None:
    ignored = (config or hashed()).set_ignored_paths(paths=[model / "model.sig"])
    signed().use_elliptic_key_signer(private_key=key).set_hashing_config(ignored).sign(model, model / "model.sig")


def test_signed_files_pass(model: Path, key: Path, verify: Verify) -> None:
    sign(model, key)
    assert verify()[0] == 0
    assert verify(name="hf://evil/guard")[0] == 11


@pytest.mark.parametrize("name", ["modeling_evil.py", "pytorch_model.bin", "model.safetensors.index.json", "README.md"])
def test_a_file_that_was_added_after_signing_fails(model: Path, key: Path, verify: Verify, name: str) -> None:
    sign(model, key)
    (model / name).write_text("{}")
    code, said = verify()
    assert (code, "[UnsignedFiles]" in said, name in said) == (11, True, True)


def test_documentation_may_be_named_as_unsigned_and_nothing_else(model: Path, key: Path, verify: Verify) -> None:
    sign(model, key)
    (model / "README.md").write_text("hello")
    assert verify("--unsigned-path", "README.md")[0] == 0
    (model / "evil.py").write_text("hello")
    assert verify("--unsigned-path", "README.md")[0] == 11
    assert verify("--unsigned-path", "evil.py")[0] == 2


@pytest.mark.parametrize(
    "config",
    [hashed().use_shard_serialization(), hashed().use_file_serialization(hashing_algorithm="blake3")],
    ids=["shards", "blake3"],
)
def test_what_cannot_be_compared_with_what_was_signed_fails(model: Path, key: Path, verify: Verify, config: hashing.Config) -> None:
    sign(model, key, config)
    (model / "model.safetensors").write_bytes(b"evil ws")  # as long as it was
    code, said = verify()
    assert (code, "[AssuranceTooLow]" in said) == (11, True)
    assert verify("--minimum-assurance", "SignatureOnly")[0] == 0
