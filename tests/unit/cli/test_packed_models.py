"""inspect, digest, verify and attest of a model that is packed in an image: as of the folder that was packed."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

from tests.support.command_line import CommandLine
from tests.support.images import Entry, child, folder, image, index
from tests.support.registry import Registry, serving

KEY = ec.generate_private_key(ec.SECP256R1())
HEADER = b'{"a":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}} '
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(range(256))
SYSTEM = [folder("bin"), Entry("bin/sh", b"#!")]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry


@pytest.fixture
def model(command_line: CommandLine) -> Path:
    """A signed folder, with its signer and an attestor's key beside it."""
    path = command_line.folder / "guard"
    path.mkdir()
    (path / "model.safetensors").write_bytes(WEIGHTS)
    (path / "config.json").write_bytes(b"{}")
    key = command_line.folder / "key.pem"
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    ignored = hashing.Config().set_ignored_paths(paths=[path / "model.sig"])  # type: ignore[no-untyped-call]
    signed = signing.Config().use_elliptic_key_signer(private_key=key)  # type: ignore[no-untyped-call]
    signed.set_hashing_config(ignored).sign(path, path / "model.sig")
    return path


def signer(command_line: CommandLine, registry: Registry) -> Path:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    spec = {"purposes": ["Author"], "publicKey": {"pem": pem}, "scope": {"models": [f"oci://{registry.address}/**"]}}
    return command_line.write(
        "trust/acme.yaml",
        {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec},
    )


def layer(path: Path, **changes: bytes) -> list[Entry]:
    contents = {file.name: file.read_bytes() for file in sorted(path.iterdir())} | changes
    return [folder("models"), *(Entry(f"models/{name}", data) for name, data in contents.items())]


def name_of(registry: Registry, digest: str) -> str:
    return f"oci://{registry.address}/models/guard@{digest}"


def test_a_modelcar_is_inspected_as_its_folder(command_line: CommandLine, registry: Registry, model: Path) -> None:
    name = name_of(registry, image(registry, [SYSTEM, layer(model)]))
    digest = command_line("digest", name, "--plain-http")
    assert (digest.code, digest.out) == (0, command_line("digest", model).out)
    inspected, local = command_line("inspect", name, "--plain-http", "-o", "json"), command_line("inspect", model, "-o", "json")
    assert inspected.code == local.code == 0
    assert inspected.document["contentDigest"] == local.document["contentDigest"]
    by_path = {file["path"]: file for file in inspected.document["files"]}
    assert by_path == {file["path"]: file for file in local.document["files"]}
    assert by_path["model.safetensors"]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_signature_in_a_modelcar_is_verified_against_every_byte(
    command_line: CommandLine, registry: Registry, model: Path
) -> None:
    trusted = signer(command_line, registry)
    good = name_of(registry, image(registry, [SYSTEM, layer(model)]))
    options = ("--plain-http", "--signer", trusted, "--minimum-assurance", "BytesHashed")
    assert command_line("verify", good, *options).code == 0
    for changes in ({"config.json": b"[]"}, {"modeling.py": b"import os"}, {"model.safetensors": WEIGHTS[:-1] + b"!"}):
        bad = name_of(registry, image(registry, [SYSTEM, layer(model, **changes)]))
        assert command_line("verify", bad, *options).code == 11
    overlaid = name_of(registry, image(registry, [layer(model), [Entry("models/config.json", b"[]")]]))
    assert command_line("verify", overlaid, *options).code == 11
    hidden = name_of(registry, image(registry, [layer(model, evil=b"x"), [Entry("models/.wh.evil")]]))
    assert command_line("verify", hidden, *options).code == 0


def test_a_signature_beside_a_modelcar_is_verified_too(command_line: CommandLine, registry: Registry, model: Path) -> None:
    trusted, bundle = signer(command_line, registry), (model / "model.sig").read_bytes()
    (model / "model.sig").unlink()
    digest = image(registry, [SYSTEM, layer(model)])
    options = ("--plain-http", "--signer", trusted)
    assert command_line("verify", name_of(registry, digest), *options).code == 11
    registry.refer(digest, bundle)
    assert command_line("verify", name_of(registry, digest), *options).code == 0


def test_an_index_is_verified_where_its_platforms_are_one_model(command_line: CommandLine, registry: Registry, model: Path) -> None:
    trusted = signer(command_line, registry)
    one = child(image(registry, [SYSTEM, layer(model)]))
    two = child(image(registry, [[Entry("bin/sh", b"arm")], layer(model)]), "arm64")
    evil = child(image(registry, [layer(model, **{"config.json": b"[]"})]), "s390x")
    options = ("--plain-http", "--signer", trusted)
    assert command_line("verify", name_of(registry, index(registry, one, two)), *options).code == 0
    refused = command_line("verify", name_of(registry, index(registry, one, two, evil)), *options)
    assert refused.code not in {0, 2}
    assert "name the manifest of one platform by its digest" in refused.err


def test_a_modelcar_is_attested_by_its_bytes(command_line: CommandLine, registry: Registry, model: Path) -> None:
    trusted = signer(command_line, registry)
    name = name_of(registry, image(registry, [SYSTEM, layer(model)]))
    attested = command_line("attest", name, "--plain-http", "--trust", trusted.parent, "--key", "key.pem", "--audience", "fleet")
    assert attested.code == 0, attested.err
    envelope = json.loads(yaml.safe_load(attested.out)["spec"]["evidence"][0]["bundle"]["inline"])
    statement = base64.b64decode(envelope["payload"]).decode()
    assert command_line("digest", model).out.strip().removeprefix("sha256:") in statement
    assert '"BytesHashed"' in statement
