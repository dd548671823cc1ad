"""The commands about models: inspect, sign, verify, digest, attest, approve."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.reasons import Reason
from tests.support.command_line import CommandLine, Object, pod, policy
from tests.support.models import write_model
from tests.support.statements import attestor_entry, public_pem
from tests.unit.cli.shapes import COUNT, DIGEST, TEXT, array, closed, one_of, validate

MODEL = "hf://acme/guard-7b@" + "9" * 40
REASONS = one_of(*(reason.value for reason in Reason))
INSPECT = closed(
    version={"const": 1},
    verdict=one_of("pass", "fail", "unknown"),
    contentDigest=DIGEST,
    files=array(
        closed(
            path=TEXT,
            size=COUNT,
            sha256={"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
            format=TEXT,
            verdict=one_of("pass", "fail", "unknown"),
            findings=array(closed(reason=REASONS, rule=TEXT, message=TEXT, severity=one_of("error", "warning"))),
        )
    ),
)
NULLABLE = {"type": ["string", "null"]}
VERIFY = closed(
    version={"const": 1},
    verdict=one_of("pass", "fail", "error"),
    contentDigest=DIGEST,
    assurance=one_of("SignatureOnly", "SourceDigests", "BytesHashed"),
    signatures=array(
        closed(
            signer=NULLABLE,
            kind={"enum": ["keyless", "publicKey", "certificate", None]},
            identity=NULLABLE,
            issuer=NULLABLE,
            time=NULLABLE,
            reason={"enum": ["Trusted", *(reason.value for reason in Reason)]},
            message=TEXT,
        )
    ),
    findings=array({"type": "object"}),
)
KEY = ec.derive_private_key(31, ec.SECP256R1())
OTHER = ec.derive_private_key(32, ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def signer(key: ec.EllipticCurvePrivateKey = KEY, purpose: str = "Author", models: str = "hf://acme/*") -> Object:
    spec = {"purposes": [purpose], "publicKey": {"pem": public_pem(key)}, "scope": {"models": [models]}}
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec}


@pytest.fixture
def model(command_line: CommandLine) -> Path:
    write_model(command_line.folder / "model")
    command_line.write("key.pem", pem(KEY))
    command_line.write("signer.json", signer())
    return command_line.folder / "model"


@pytest.fixture
def signed(model: Path, command_line: CommandLine) -> Path:
    ran = command_line("sign", "model", "--key", "key.pem")
    assert (ran.code, ran.out, ran.err) == (0, "wrote model/model.sig\n", "")
    return model


def test_the_json_of_inspect_has_the_shape_that_is_documented(model: Path, command_line: CommandLine) -> None:
    config = model / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "evil.Evil"}}))

    ran = command_line("inspect", "model", "-o", "json")

    validate(ran.document, INSPECT)
    files = {file["path"]: file for file in ran.document["files"]}
    assert (ran.code, ran.document["verdict"], ran.err) == (11, "fail", "")
    assert files["config.json"]["verdict"] == "fail"
    assert files["config.json"]["findings"][0]["reason"] == "RemoteCode"
    weights = files["model.safetensors"]
    assert (weights["format"], weights["verdict"], weights["findings"]) == ("safetensors", "pass", [])
    assert weights["sha256"] == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def test_a_clean_model_passes_inspection_and_weights_in_another_format_do_not(model: Path, command_line: CommandLine) -> None:
    assert command_line("inspect", "model").code == 0
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert command_line("inspect", "model").code == 11


def test_a_folder_without_any_file_is_no_model(command_line: CommandLine) -> None:
    (command_line.folder / "empty").mkdir()

    assert command_line("inspect", "empty").code != 0
    assert command_line("digest", "empty").code != 0


@pytest.mark.usefixtures("signed")
def test_the_json_of_verify_has_the_shape_that_is_documented(command_line: CommandLine) -> None:
    ran = command_line("verify", "model", "--signer", "signer.json", "--model", MODEL, "-o", "json")

    validate(ran.document, VERIFY)
    assert (ran.code, ran.err, ran.document["verdict"], ran.document["assurance"]) == (0, "", "pass", "BytesHashed")
    (signature,) = ran.document["signatures"]
    assert (signature["signer"], signature["kind"], signature["reason"]) == ("acme", "publicKey", "Trusted")
    assert ran.document["contentDigest"] == command_line("digest", "model").out.strip()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (signer(OTHER), "SignerNotTrusted"),
        (signer(models="hf://other/*"), "SignerOutOfScope"),
    ],
)
def test_a_signature_that_does_not_count_is_exit_code_11(
    given: Object,
    reason: str,
    signed: Path,  # noqa: ARG001 - its folder
    command_line: CommandLine,
) -> None:
    command_line.write("signer.json", given)

    ran = command_line("verify", "model", "--signer", "signer.json", "--model", MODEL, "-o", "json")

    validate(ran.document, VERIFY)
    assert (ran.code, ran.document["verdict"]) == (11, "fail")
    assert [signature["reason"] for signature in ran.document["signatures"]] == [reason]


def test_a_changed_byte_and_a_missing_signature_are_told_apart(signed: Path, command_line: CommandLine) -> None:
    def verify() -> Object:
        ran = command_line("verify", "model", "--signer", "signer.json", "--model", MODEL, "-o", "json")
        validate(ran.document, VERIFY)
        assert ran.code == 11
        return ran.document

    weights = signed / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert [signature["reason"] for signature in verify()["signatures"]] == ["SignatureInvalid"]
    (signed / "model.sig").unlink()
    assert [finding["reason"] for finding in verify()["findings"]] == ["Unsigned"]
    (signed / "model.sig").write_bytes(b"no bundle")
    assert verify()["verdict"] == "fail"


def test_the_digest_is_the_same_signed_or_not_and_another_after_any_change(model: Path, command_line: CommandLine) -> None:
    before = command_line("digest", "model", "-o", "json").document
    command_line("sign", "model", "--key", "key.pem")

    assert before == {
        "version": 1,
        "contentDigest": command_line("digest", "model").out.strip(),
        "files": len([path for path in model.rglob("*") if path.name != "model.sig"]),
        "bytes": sum(path.stat().st_size for path in model.rglob("*") if path.name != "model.sig"),
    }
    (model / "config.json").write_text("{}")
    assert command_line("digest", "model").out.strip() != before["contentDigest"]


@pytest.mark.usefixtures("signed")
def test_what_attest_prints_is_trusted_by_check_and_nothing_else_is(command_line: CommandLine) -> None:
    command_line.trust(signer())
    command_line.write("attestor.pem", pem(OTHER))

    ran = command_line("attest", "model", "--model", MODEL, "--trust", "trust", "--key", "attestor.pem", "--audience", "cluster-1")

    (document,) = yaml.safe_load_all(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (document["kind"], document["spec"]["model"]) == ("ModelAttestation", MODEL)
    command_line.write("trust/attestation.yaml", ran.out)
    signature = {"type": "Signature", "signature": {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}]}}
    command_line.write("trust/policy.json", policy("production", {"type": "Pinned"}, signature))
    command_line.write("pod.json", pod(["acme/guard-7b", "--revision", "9" * 40]))
    command_line.write("trust/attestors.yaml", json.dumps([attestor_entry(OTHER)]))
    assert command_line("check", "pod.json", "--trust", "trust").code == 0
    command_line.write("trust/attestors.yaml", json.dumps([attestor_entry(KEY)]))
    assert command_line("check", "pod.json", "--trust", "trust").code == 11


@pytest.mark.usefixtures("model")
def test_an_approval_names_model_content_and_ticket(command_line: CommandLine) -> None:
    digest = command_line("digest", "model").out.strip()

    ran = command_line("approve", MODEL, "--key", "key.pem", "--ticket", "SEC-42", "--expires", "90", "--content-digest", digest)

    document = yaml.safe_load(ran.out)
    assert (ran.code, document["spec"]["model"]) == (0, MODEL)
    bundle = document["spec"]["evidence"][0]["bundle"]["inline"]
    assert "payload" in bundle


@pytest.mark.usefixtures("model")
def test_an_approval_of_a_model_that_no_source_serves_says_what_it_needs(command_line: CommandLine) -> None:
    elsewhere = f"ngc://acme/guard@sha256:{'9' * 64}"
    ran = command_line("approve", elsewhere, "--key", "key.pem", "--ticket", "SEC-42", "--expires", "90")

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "--content-digest" in ran.err
    assert "modeltrust digest DIR" in ran.err
