"""A small trusted world in memory: three policies, a signer, statements; what admission tests and benchmarks decide with."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.admission.decide import Admission
from modeltrust.api.compile import (
    check_object,
    compile_exemption,
    compile_mapping,
    compile_policy,
    compile_revocation,
    compile_signer,
    compile_suite,
    statements_of,
)
from modeltrust.attestation.envelope import fingerprint
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import SignatureFacts, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity, parse_reference
from modeltrust.policy.policy import Unmatched
from modeltrust.references.extract import Extractor
from modeltrust.references.mappings import KindMapping
from modeltrust.store.sink import Kind
from modeltrust.store.store import ATTESTORS, Compilers, Store
from modeltrust.wiring.admission import reader
from modeltrust.wiring.rows import load_tables
from tests.support.reviews import COMMIT
from tests.support.statements import NOW, a_signature, a_statement, attestors_for, identity_of, public_pem, sealed

Object = dict[str, Any]
API_VERSION = "modeltrust.dev/v1alpha1"
SIGNER_KEY = ec.derive_private_key(11, ec.SECP256R1())
ATTESTOR_KEY = ec.derive_private_key(12, ec.SECP256R1())
GUARD = f"hf://acme/guard-7b@{COMMIT}"
ADAPTER = "oci://registry.acme.example/adapters/guard@sha256:" + "ab" * 32
TABLES = load_tables()
EXTRACTOR = Extractor(TABLES)


def policy(name: str = "production", **changes: Any) -> Object:
    """A policy that the models above satisfy, as people write it."""
    spec = {
        "mode": "Enforce",
        "match": {"namespaces": {"selector": {"matchLabels": {"modeltrust.dev/tier": "prod"}}}, "models": ["**"]},
        "contact": "#ml-platform",
        "requirements": [
            {"type": "Pinned"},
            {"type": "Sources", "sources": {"allowed": ["hf://acme/*", "oci://registry.acme.example/**"]}},
            {
                "type": "Signature",
                "signature": {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}], "minimumAssurance": "SourceDigests"},
            },
            {"type": "Formats", "formats": {"allowed": ["Safetensors"]}},
        ],
        **changes,
    }
    return thing("ModelPolicy", name, spec)


def audit_policy() -> Object:
    """What a fresh installation begins with."""
    requirements = [{"type": "Pinned"}, {"type": "ServingImage", "servingImage": {"allowed": ["registry.acme.example/**"]}}]
    return policy(
        "baseline", mode="Audit", match={"namespaces": {"names": ["team-a", "team-b"]}, "models": ["**"]}, requirements=requirements
    )


def other_policy() -> Object:
    """A policy of another team."""
    return policy("elsewhere", match={"namespaces": {"names": ["team-z"]}, "models": ["hf://zeta/*"]})


def signer(name: str = "acme") -> Object:
    """The signer of the statements below."""
    spec = {"purposes": ["Author"], "publicKey": {"pem": public_pem(SIGNER_KEY)}, "scope": {"models": ["hf://acme/*", "oci://**"]}}
    return thing("TrustedSigner", name, spec)


def revocation(name: str = "inc-1", **spec: Any) -> Object:
    """A revocation of the guard model, unless told otherwise."""
    return thing("ModelRevocation", name, {"models": ["hf://acme/guard-7b"], "reason": "backdoor", "action": "DenyNew", **spec})


def namespace(name: str, tier: str = "prod") -> Object:
    """A namespace with our label."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"modeltrust.dev/tier": tier}}}


def statement(model: str, **changes: Any) -> Statement:
    """A statement about a model, signed by the signer above."""
    evidence = a_signature(fingerprint=fingerprint(SIGNER_KEY.public_key()))
    return a_statement(identity=identity_of(model), signatures=Known(SignatureFacts((evidence,))), **changes)


def statement_at(reference: str, content: ContentDigest, like: Statement) -> Statement:
    """A statement about content of a source without revisions, otherwise like another."""
    return dataclasses.replace(like, identity=Identity(parse_reference(reference)[0], content), content=Known(content))


def attestation(name: str, said: Statement, key: ec.EllipticCurvePrivateKey = ATTESTOR_KEY) -> Object:
    """A ModelAttestation with a signed statement."""
    return {**thing("ModelAttestation", name, {"model": said.identity.key}), "status": {"statement": sealed(said, key).decode()}}


def thing(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    """An object of ours."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def check(value: Mapping[str, Any]) -> None:
    """Refuse an object of ours that the compiler cannot use."""
    check_object(value, EXTRACTOR)


def mapping(value: Mapping[str, Any]) -> KindMapping:
    """Compile a ModelReferenceMapping."""
    return compile_mapping(value, EXTRACTOR)


def spec_hash(value: Mapping[str, Any]) -> str:
    """Of an EvaluationSuite."""
    return compile_suite(value).spec_hash


def a_store() -> Store:
    """Synchronised as of NOW: three policies, a signer, two attested models, two namespaces."""
    store = Store(
        Compilers(compile_policy, compile_signer, compile_exemption, compile_revocation, spec_hash, statements_of, mapping)
    )
    store.believe(attestors_for(ATTESTOR_KEY))
    store.replace(Kind.POLICIES, [policy(), audit_policy(), other_policy()])
    store.replace(Kind.SIGNERS, [signer()])
    store.replace(Kind.EXEMPTIONS, [])
    store.replace(Kind.REVOCATIONS, [])
    store.replace(Kind.MAPPINGS, [])
    store.replace(Kind.SUITES, [])
    store.replace(Kind.NAMESPACES, [namespace("team-a"), namespace("team-b", "dev")])
    store.replace(Kind.ATTESTATIONS, [attestation(f"a{number}", statement(model)) for number, model in enumerate((GUARD, ADAPTER))])
    for kind in (*Kind, ATTESTORS):
        store.freshness.confirm(kind, NOW)
    return store


def an_admission(
    store: Store,
    *,
    unmatched: Unmatched = Unmatched.ALLOW,
    report: Callable[[Exception], str] = lambda _: "7f3a91",
    inject_image: str | None = None,
) -> Admission:
    """The real decision over a store."""
    return Admission(extractor=reader(EXTRACTOR, store), store=store, unmatched=unmatched, report=report, inject_image=inject_image)
