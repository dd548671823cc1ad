"""The world of the demo: real models on disk, real keys, a trust folder that the webhook watches."""

import hashlib
import json
import pickle
import secrets
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.api.compile import compile_signer, compile_suite
from modeltrust.cli.demo import objects
from modeltrust.cli.files import write_atomically
from modeltrust.cli.sample_model import write_model
from modeltrust.domain.evidence import EvaluationVerdict, Verdict
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.work import Order
from modeltrust.signing.approval import build_approval
from modeltrust.signing.sign import sign_approval, sign_model
from modeltrust.verification.attest import attestation_object, seal
from modeltrust.verification.content import content_of
from modeltrust.verification.examine import Examiner
from modeltrust.wiring.examination import examiner, open_folder

AUDIENCE = "demo-cluster"
_HOUR = 3600
Change = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair on disk.

    Attributes:
        path: of the private key, PEM.
        private: the private key.
        public_pem: text of the public key.
        fingerprint: 64 hex, sha256 of the DER SubjectPublicKeyInfo.
    """

    path: Path
    private: ec.EllipticCurvePrivateKey
    public_pem: str
    fingerprint: str


class World:
    """Everything under one folder; each method writes real files that real parts read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models, self.keys, self.trust, self.workloads = (root / name for name in ("models", "keys", "trust", "workloads"))
        for folder in (self.models, self.keys, self.trust, self.workloads, self.trust / "attestations"):
            folder.mkdir(parents=True, exist_ok=True)
        self.author, self.approver, self.attestor, self.stranger = (
            self._key(n) for n in ("author", "approver", "attestor", "stranger")
        )
        self._examiner: Examiner = examiner()
        self._write_trust()

    def model(
        self, name: str, *, owner: str = "acme", change: Change | None = None, sign: Key | None = None, after: Change | None = None
    ) -> Identity:
        """Make a model on disk and give it a name and a commit.

        Args:
            name: its folder and repository.
            owner: owner of the repository.
            change: applied before it is signed.
            sign: with this key, through model-signing; None leaves it unsigned.
            after: applied after it was signed.
        """
        folder = self.models / name
        write_model(folder, seed=zlib.crc32(name.encode()))
        if change is not None:
            change(folder)
        if sign is not None:
            sign_model(folder, sign.path, folder / "model.sig")
        if after is not None:
            after(folder)
        return parse_identity(f"hf://{owner}/{name}@{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}")

    def attest(
        self, identity: Identity, *, key: Key | None = None, bundles: tuple[bytes, ...] = (), evaluated: int | None = None
    ) -> None:
        """Run the verification flow over the model's folder and put the signed statement into the trust folder.

        Args:
            identity: which model.
            key: of the attestor; a stranger's forges a statement.
            bundles: further evidence.
            evaluated: how many seconds ago the suite canary passed; None: never run.
        """
        now = int(time.time())
        order = Order(
            identity=identity, nonce=secrets.token_hex(16), signers=self._signers(), bundles=bundles, read_bytes=True, now=now
        )
        report = self._examiner.examine(order, open_folder(self._folder(identity)))
        verdicts = () if evaluated is None else (_passed(now - evaluated),)
        private = (key or self.attestor).private
        statement = seal(report, order=order, evaluations=verdicts, audience=AUDIENCE, serial=time.time_ns(), now=now, key=private)
        name = self._folder(identity).name
        self._write(self.trust / "attestations" / f"{name}.yaml", [attestation_object(identity, statement)])

    def approve(self, identity: Identity) -> bytes:
        """An approval of a model by the platform team: a signed bundle."""
        now = int(time.time())
        content = content_of(open_folder(self._folder(identity)).list())
        payload = build_approval(identity, content, ticket="SEC-42", issued_at=now, expires_at=now + 24 * _HOUR)
        return sign_approval(payload, self.approver.path.read_bytes())

    def revoke(self, name: str, spec: dict[str, Any]) -> None:
        """Write a ModelRevocation; the webhook sees it by itself."""
        self._write(self.trust / f"revocation-{name}.yaml", [objects.revocation(name, spec)])

    def save(self, name: str, obj: dict[str, Any]) -> None:
        """Keep a workload, so that `modeltrust check` can be tried on it by hand."""
        self._write(self.workloads / f"{name}.yaml", [obj])

    def _folder(self, identity: Identity) -> Path:
        return self.models / identity.reference.path.rpartition("/")[2]

    def _signers(self) -> tuple[Any, ...]:
        return tuple(compile_signer(signer) for signer in self._signer_objects())

    def _signer_objects(self) -> list[dict[str, Any]]:
        return [
            objects.signer("acme-research", "Author", self.author.public_pem, ["hf://acme/*"]),
            objects.signer("platform-approvals", "Approval", self.approver.public_pem, ["hf://community/*"]),
        ]

    def _write_trust(self) -> None:
        self._write(self.trust / "policies.yaml", [*objects.policies(), objects.suite()])
        self._write(self.trust / "signers.yaml", self._signer_objects())
        self._write(self.trust / "namespaces.yaml", objects.namespaces())
        attestor = {
            "keyId": self.attestor.fingerprint,
            "pem": self.attestor.public_pem,
            "audience": AUDIENCE,
            "models": ["hf://acme/*", "hf://community/*"],
            "maximumAssurance": "BytesHashed",
        }
        write_atomically(self.trust / "attestors.yaml", yaml.safe_dump([attestor], sort_keys=False).encode())

    def _write(self, path: Path, documents: Iterable[dict[str, Any]]) -> None:
        write_atomically(path, yaml.safe_dump_all(documents, sort_keys=False).encode("utf-8"))

    def _key(self, name: str) -> Key:
        private = ec.generate_private_key(ec.SECP256R1())
        path = self.keys / f"{name}.pem"
        path.touch(mode=0o600)
        pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(pem)
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        public = private.public_key().public_bytes(serialization.Encoding.PEM, spki).decode("ascii")
        der = private.public_key().public_bytes(serialization.Encoding.DER, spki)
        return Key(path, private, public, hashlib.sha256(der).hexdigest())


def flip_one_byte(folder: Path) -> None:
    """Change one byte of one weight."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def add_auto_map(folder: Path) -> None:
    """Make the configuration name Python code of the repository."""
    path = folder / "config.json"
    config = json.loads(path.read_bytes())
    path.write_text(json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "modeling_guard.GuardForCausalLM"}}, indent=2))


def swap_for_pickle(folder: Path) -> None:
    """Replace the safetensors file by a pickle of the same weights' place; it is never loaded here."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": [0.0] * 16}))


def _passed(finished_at: int) -> EvaluationVerdict:
    digest = hashlib.sha256(b"demo").hexdigest()
    claim = "no change of behaviour under 3 trigger families at n = 32; says nothing about other triggers"
    spec = compile_suite(objects.suite()).spec_hash
    return EvaluationVerdict("canary", digest, digest, Verdict.PASSED, claim, finished_at, spec_hash=spec)
