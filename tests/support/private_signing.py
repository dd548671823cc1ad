"""Somebody who signs at a private Sigstore of real services, and the TrustedSigner by which we judge it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeltrust.api.compile import compile_signer
from modeltrust.domain.signer import TrustedSigner
from modeltrust.signing.sign import sign_keyless
from tests.support import oidc_issuer, private_sigstore
from tests.support.oidc_issuer import Issuers
from tests.support.private_sigstore import PrivateSigstore

REPOSITORY = "acme/models"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/heads/main"
_GITHUB = {
    "job_workflow_ref": WORKFLOW,
    "job_workflow_sha": "1" * 40,
    "workflow": "release",
    "workflow_ref": WORKFLOW,
    "workflow_sha": "1" * 40,
    "sha": "2" * 40,
    "ref": "refs/heads/main",
    "event_name": "push",
    "repository": REPOSITORY,
    "repository_id": "4711",
    "repository_owner": "acme",
    "repository_owner_id": "42",
    "repository_visibility": "private",
    "runner_environment": "self-hosted",
    "run_id": "7",
    "run_attempt": "1",
}


@dataclass(frozen=True, slots=True)
class Person:
    """An identity that Fulcio writes into a certificate.

    Attributes:
        issuer: name of the issuer.
        subject: of the certificate, as Fulcio spells it.
        token_subject: ``sub`` of the token.
        claims: further claims of the token.
    """

    issuer: str
    subject: str
    token_subject: str
    claims: Mapping[str, Any]


ANN = Person("people", "ann@acme.example", "ann", {"email": "ann@acme.example", "email_verified": True})
BOB = Person("people", "bob@acme.example", "bob", {"email": "bob@acme.example", "email_verified": True})
PIPELINE = Person("ci", f"https://github.com/{WORKFLOW}", f"repo:{REPOSITORY}:ref:refs/heads/main", _GITHUB)
ROBOT = Person("users", "robot!127.0.0.1", "robot", {})
EVERYBODY = (ANN, BOB, PIPELINE, ROBOT)
KINDS = {
    "people": {"Type": "email"},
    "ci": {"Type": "github-workflow"},
    "users": {"Type": "username", "SubjectDomain": "127.0.0.1"},
}


@dataclass(frozen=True, slots=True)
class Signing:
    """A running instance and the issuers that it believes.

    Attributes:
        issuers: OIDC.
        instance: the services.
        scratch: a folder.
    """

    issuers: Issuers
    instance: PrivateSigstore
    scratch: Path

    def sign(self, model: Path, person: Person = ANN) -> bytes:
        """Sign a folder as ``modeltrust sign --keyless`` does, through model-signing; returns the bundle."""
        return self.sign_with(self.token(person), model)

    def sign_with(self, token: str, model: Path) -> bytes:
        """``sign`` with a token of one's own."""
        out, config = self.scratch / "bundle", self.scratch / "trust-config.json"
        config.write_bytes(self.instance.trust_config(f"{self.issuers.plain}/people"))
        sign_keyless(model, out, token=token, trust_config=config)
        return out.read_bytes()

    def token(self, person: Person) -> str:
        """What the person shows to Fulcio."""
        return self.issuers.token(person.issuer, person.token_subject, **person.claims)

    def signer(self, person: Person = ANN, *, root: bytes | None = None, **identity: Any) -> TrustedSigner:
        """A compiled TrustedSigner for one person under this instance's root.

        Args:
            person: whose issuer and subject are trusted.
            root: trusted_root.json, instead of this instance's; empty for the public good one.
            identity: further fields of the identity, as people write them; they win.
        """
        return compile_signer(self.document(person, root=root, **identity))

    def document(self, person: Person = ANN, *, root: bytes | None = None, **identity: Any) -> dict[str, Any]:
        """``signer`` as people write it."""
        entry = {"name": "somebody", "issuer": self.issuers.url(person.issuer), "subject": person.subject, **identity}
        inline = self.instance.trusted_root() if root is None else root
        keyless = {"identities": [entry]} | ({"trustRoot": {"inline": inline.decode()}} if inline else {})
        spec = {"purposes": ["Author"], "keyless": keyless, "scope": {"models": ["hf://acme/*", "oci://**"]}}
        return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec}


@contextmanager
def signing(folder: Path) -> Iterator[Signing]:
    """Issuers and an instance that believes them."""
    for name in ("issuers", "instance", "scratch"):
        (folder / name).mkdir()
    with oidc_issuer.serving(folder / "issuers") as issuers:
        believed = {issuers.url(name): {"CACert": issuers.ca, **kind} for name, kind in KINDS.items()}
        with private_sigstore.running(folder / "instance", believed) as instance:
            yield Signing(issuers, instance, folder / "scratch")


def changed(bundle: bytes, *places: tuple[tuple[str | int, ...], Any]) -> bytes:
    """A bundle with other values at some places; a value of None takes the place away."""
    document = json.loads(bundle)
    for path, value in places:
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        if value is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
    return json.dumps(document).encode()
