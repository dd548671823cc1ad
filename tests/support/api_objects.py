"""One complete, valid object of each of our kinds, and a way to change one thing in it."""

import base64
import copy
import datetime as dt
import functools
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

Object = dict[str, Any]

COMMIT = "9f2c41d0a6e1b7c35d8e4f7a90b1c2d3e4f5a6b7"
DIGEST = "sha256:" + "ab" * 32
DELETED = object()


def changed(obj: Object, path: str, value: Any) -> Object:
    """A copy with one value replaced, added or, with DELETED, taken away.

    Args:
        obj: what to change.
        path: such as ``spec.requirements[0].type``.
        value: the new value.
    """
    result = copy.deepcopy(obj)
    *parents, last = [int(part) if part.isdigit() else part for part in path.replace("[", ".").replace("]", "").split(".")]
    place: Any = result
    for part in parents:
        place = place[part]
    if value is DELETED:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return result


def ours(kind: str, name: str, spec: Object, **metadata: Any) -> Object:
    """An object of one of our kinds."""
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def key_signer() -> Object:
    """A TrustedSigner with a public key."""
    spec = {
        "purposes": ["Author"],
        "publicKey": {"pem": public_pem()},
        "scope": {"models": ["hf://acme/*"]},
        "validity": {"notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z"},
    }
    return ours("TrustedSigner", "acme-key", spec, labels={"team": "platform"})


def keyless_signer() -> Object:
    """A TrustedSigner with keyless identities and a trust root of its own."""
    identities = [
        {
            "name": "release",
            "issuer": "https://token.actions.githubusercontent.com",
            "subject": "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main",
            "claims": {"sourceRepositoryURI": "https://github.com/acme/models"},
        },
        {"name": "people", "issuer": "https://accounts.acme.example", "subjectPattern": "*@acme.example"},
    ]
    keyless = {"identities": identities, "trustRoot": {"inline": json.dumps(trusted_root())}}
    return ours(
        "TrustedSigner", "acme-keyless", {"purposes": ["Author", "Approval"], "keyless": keyless, "scope": {"models": ["**"]}}
    )


def certificate_signer() -> Object:
    """A TrustedSigner with certificates under an explicit root."""
    certificate = {
        "roots": certificate_pem(),
        "subjectAlternativeName": {"uri": "spiffe://acme.example/signer"},
        "validity": "AtSigning",
    }
    return ours(
        "TrustedSigner", "acme-ca", {"purposes": ["Author"], "certificate": certificate, "scope": {"models": ["hf://acme/*"]}}
    )


def policy() -> Object:
    """A ModelPolicy with every requirement."""
    any_of = [
        {"purpose": "Author", "signers": [{"name": "acme-key"}, {"name": "acme-keyless"}], "threshold": 2},
        {"purpose": "Approval", "signerSelector": {"matchLabels": {"team": "platform"}}},
    ]
    signature = {"anyOf": any_of, "minimumAssurance": "BytesHashed", "unsignedPaths": ["README.md", "images/logo.png"]}
    formats = {"allowed": ["Safetensors"], "remoteCode": "Deny", "templates": "Safe", "scope": "Repository"}
    evaluation = {"suites": [{"name": "canary"}], "maxAgeSeconds": 2_592_000, "inconclusive": "Deny"}
    selector = {
        "matchLabels": {"modeltrust.dev/tier": "prod"},
        "matchExpressions": [{"key": "modeltrust.dev/exempt", "operator": "NotIn", "values": ["yes"]}],
    }
    spec = {
        "mode": "Enforce",
        "enforceAfterTime": "2027-01-15T00:00:00Z",
        "match": {"namespaces": {"names": ["prod-a"], "selector": selector}, "models": ["**"], "clusterScoped": True},
        "pending": "Warn",
        "unresolved": "AllowDeclared",
        "expiredGraceSeconds": 3600,
        "contact": "#ml-platform",
        "requirements": [
            {"type": "Pinned"},
            {"type": "Sources", "sources": {"allowed": ["hf://acme/*", "oci://registry.acme.example/**"]}},
            {"type": "Signature", "signature": signature},
            {"type": "Formats", "formats": formats},
            {"type": "ServingImage", "servingImage": {"allowed": ["registry.acme.example/vllm@sha256:*"]}},
            {"type": "Lineage", "lineage": {"base": "Attested"}},
            {"type": "Evaluation", "evaluation": evaluation},
        ],
    }
    return ours("ModelPolicy", "production", spec)


def source() -> Object:
    """A ModelSource."""
    spec = {
        "models": ["hf://acme/*"],
        "type": "HuggingFace",
        "endpoints": ["https://huggingface.co"],
        "credentials": {"secretName": "hf-acme"},
        "signatures": [{"path": "model.sig"}, {"oci": "registry.acme.example/signatures"}],
        "limits": {"maxBytes": 1_000_000_000_000, "maxFiles": 1000},
    }
    return ours("ModelSource", "acme", spec)


def attestation() -> Object:
    """A ModelAttestation with two documents of evidence."""
    evidence = [
        {"name": "approval", "bundle": {"inline": '{"a": 1}'}},
        {"name": "upstream", "bundle": {"oci": f"registry.acme.example/evidence@{DIGEST}"}},
    ]
    return ours("ModelAttestation", "hf-acme-guard", {"model": f"hf://acme/guard@{COMMIT}", "evidence": evidence})


def revocation() -> Object:
    """A ModelRevocation of everything that can be revoked."""
    identity = {"issuer": "https://accounts.acme.example", "subject": "Eve@acme.example"}
    spec = {
        "models": ["hf://acme/guard", f"hf://Acme/Other@{COMMIT}"],
        "contentDigests": [DIGEST],
        "fileDigests": ["sha256:" + "cd" * 32],
        "signers": [{"fingerprint": "ef" * 32}, {"identity": identity, "signedAfter": "2026-11-01T00:00:00Z"}],
        "reason": "backdoor found",
        "reference": "INC-1234",
        "action": "DenyNew",
    }
    return ours("ModelRevocation", "inc-1234", spec)


def exemption() -> Object:
    """A PolicyExemption for one model."""
    spec = {
        "policies": ["production"],
        "namespaces": ["prod-a"],
        "models": [f"hf://acme/guard@{COMMIT}"],
        "requirements": ["Signature", "ServingImage"],
        "reasons": ["UnresolvedReference"],
        "justification": "key rotation, SEC-42",
        "expirationTime": "2026-12-20T00:00:00Z",
    }
    return ours("PolicyExemption", "guard-rotation", spec, creationTimestamp="2026-11-20T00:00:00Z")


def suite() -> Object:
    """An EvaluationSuite."""
    spec = {
        "probes": {"families": ["DeploymentTag", "RareToken"], "perFamily": 32, "operatorPrompts": {"secretName": "prompts"}},
        "decision": {"alpha": "0.01", "margin": "0.05"},
        "baseline": {"from": "Reference", "reference": {"model": f"hf://acme/base@{COMMIT}"}},
        "serving": {"engine": "VLLM", "image": f"registry.acme.example/vllm@{DIGEST}", "args": ["--max-model-len", "4096"]},
        "runtime": {
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "nodeSelector": {"gpu": "h100"},
            "tolerations": [{"operator": "Exists"}],
            "queueName": "evaluation",
        },
        "reprobe": {"schedule": "0 3 * * *", "onAlarm": "Propose"},
    }
    return ours("EvaluationSuite", "canary", spec)


CONNECTOR: Object = {
    "apiVersion": "gmc.opea.io/v1",
    "kind": "GMConnector",
    "spec": {"nodes": {"root": {"steps": [{"internalService": {"config": {"MODEL_ID": "acme/guard"}}}]}}},
}


def mapping() -> Object:
    """A ModelReferenceMapping."""
    spec = {
        "match": {"group": "gmc.opea.io", "kinds": ["GMConnector"]},
        "refs": [{"path": "$.spec.nodes.*.steps[*].internalService.config.MODEL_ID", "role": "Base", "uriProfile": "BareHF"}],
        "podTemplates": [{"path": "$.spec.template"}],
        "tests": [{"object": CONNECTOR, "expect": ["hf://acme/guard"]}],
    }
    return ours("ModelReferenceMapping", "gmc", spec)


@functools.cache
def private_key(curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """A key for tests, the same within one run."""
    curves: dict[str, type[ec.EllipticCurve]] = {"secp256r1": ec.SECP256R1, "secp384r1": ec.SECP384R1, "secp521r1": ec.SECP521R1}
    return ec.generate_private_key(curves.get(curve, ec.SECP256K1)())


def public_pem(curve: str = "secp256r1") -> str:
    """A public key, PEM."""
    return private_key(curve).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def public_der(curve: str = "secp256r1") -> bytes:
    """A public key, DER."""
    return private_key(curve).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@functools.cache
def certificate(
    *, ca: bool | None = True, curve: str = "secp384r1", extensions: tuple[x509.UnrecognizedExtension, ...] = ()
) -> x509.Certificate:
    """A self-signed certificate: a CA, a leaf, or, with None, one that does not say."""
    key, now = private_key(curve), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=3650))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def certificate_pem(*, ca: bool | None = True) -> str:
    """A certificate, PEM."""
    return certificate(ca=ca).public_bytes(Encoding.PEM).decode("ascii")


def twice_extended_pem() -> str:
    """A CA certificate with one extension twice, PEM: cryptography raises an exception of its own kind for it."""
    twins = tuple(x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{last}"), b"\x05\x00") for last in (4, 5))
    der = certificate(extensions=twins).public_bytes(Encoding.DER).replace(b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04")
    return _armoured(der)


def version_nine_pem() -> str:
    """A certificate of a version that does not exist, PEM: another exception of its own kind."""
    return _armoured(certificate().public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x08", 1))


def _armoured(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode('ascii')}-----END CERTIFICATE-----\n"


def trusted_root() -> Object:
    """A trusted_root.json with one CA, CT log, log and TSA."""
    window = {"start": "2026-01-01T00:00:00Z"}

    def log(curve: str) -> Object:
        raw = base64.b64encode(public_der(curve)).decode("ascii")
        key = {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": dict(window)}
        return {"baseUrl": "https://log.acme.example", "hashAlgorithm": "SHA2_256", "publicKey": key}

    der = base64.b64encode(certificate().public_bytes(Encoding.DER)).decode("ascii")
    authority = {"uri": "https://ca.acme.example", "certChain": {"certificates": [{"rawBytes": der}]}, "validFor": dict(window)}
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log("secp256r1")],
        "ctlogs": [log("secp521r1")],
        "certificateAuthorities": [authority],
        "timestampAuthorities": [copy.deepcopy(authority)],
    }
