"""One question asked through every door: the judge itself, the admission, the command line, the webhook's bytes."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.admission.decide import Question
from modeltrust.admission.message import found
from modeltrust.api.compile import check_mapping, check_object, compile_policy, compile_signer
from modeltrust.cli.main import main
from modeltrust.domain.decision import Decision
from modeltrust.domain.evidence import Statement
from modeltrust.policy.fold import fold
from modeltrust.policy.judge import judge
from modeltrust.policy.policy import InvalidStatement, Namespace, Unmatched
from modeltrust.references.mappings import by_kind
from modeltrust.telemetry import Telemetry
from modeltrust.verification.attest import attestation_object
from modeltrust.webhook.answer import Answerer
from modeltrust.wiring.admission import Live, live_admission
from tests.support import fast_yaml
from tests.support.cases import suites_of
from tests.support.reviews import review
from tests.support.statements import NOW, attestor_entry, sealed
from tests.support.trust import a_trust
from tests.support.trusted import EXTRACTOR

Object = dict[str, Any]
ATTESTOR = ec.derive_private_key(21, ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with everything that it is answered from.

    Attributes:
        name: of the case.
        workload: the object.
        trust: ModelPolicy, TrustedSigner and ModelReferenceMapping objects.
        namespace: where the workload goes.
        statements: what is known.
    """

    name: str
    workload: Object
    trust: tuple[Object, ...]
    namespace: Namespace
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What every door can say."""

    outcome: str
    reasons: frozenset[str]
    allowed: bool


def write_trust(asked: Asked, folder: Path) -> None:
    """The trust folder: what people write, and sealed statements."""
    labels = {"name": asked.namespace.name, "labels": dict(asked.namespace.labels or {})}
    documents = [*asked.trust, {"apiVersion": "v1", "kind": "Namespace", "metadata": labels}]
    documents += [attestation_object(s.identity, sealed(s, ATTESTOR)) for s in asked.statements]
    (folder / "trust.yaml").write_text(fast_yaml.dump_all(documents))
    (folder / "attestors.yaml").write_text(
        fast_yaml.dump([attestor_entry(ATTESTOR, audience=audience) for audience in _audiences(asked)][:1])
    )


def _audiences(asked: Asked) -> list[str]:
    return sorted({statement.audience for statement in asked.statements}) or ["cluster-1"]


def by_judge(asked: Asked, folder: Path) -> Answer:  # noqa: ARG001 - the doors' common signature
    """No store, no envelope: compiled policies and bare statements."""
    policies = tuple(compile_policy(obj) for obj in asked.trust if obj["kind"] == "ModelPolicy")
    signers = tuple(compile_signer(obj) for obj in asked.trust if obj["kind"] == "TrustedSigner")
    statements: dict[Any, Statement | InvalidStatement | Any] = {s.identity: s for s in asked.statements}
    mapped = by_kind([check_mapping(obj, EXTRACTOR) for obj in asked.trust if obj["kind"] == "ModelReferenceMapping"])
    workload = EXTRACTOR.taught(lambda: mapped).extract(json.dumps(asked.workload).encode(), namespace=asked.namespace.name)
    findings = judge(
        workload, namespace=asked.namespace, policies=policies, trust=a_trust(statements, *signers, suites=suites_of(asked.trust))
    ).findings
    return _of(Decision(fold(findings), findings))


def by_admission(asked: Asked, folder: Path) -> Answer:
    """``Admission.decide`` over a store that a folder feeds."""
    question = Question(json.dumps(asked.workload).encode(), asked.namespace.name)
    return _of(_live(folder).admission.decide(question, NOW))


def by_command_line(asked: Asked, folder: Path, printed: Callable[[], str]) -> Answer:
    """``modeltrust check -o json``."""
    path = folder.parent / "workload.json"
    path.write_text(json.dumps(asked.workload))
    now = "2026-09-21T14:13:20Z"  # NOW
    code = main(["check", str(path), "--trust", str(folder), "--now", now, "-o", "json"])
    (decision,) = json.loads(printed())["decisions"]
    assert code == {"admit": 0, "warn": 0, "pending": 13, "error": 12, "deny": 11}[decision["outcome"]]
    return Answer(decision["outcome"], _reasons(decision["findings"]), decision["allowed"])


def by_webhook(asked: Asked, folder: Path) -> Answer:
    """The bytes of an AdmissionReview and of its answer."""
    live = _live(folder)
    answerer = Answerer(
        admission=live.admission,
        tables=live.extractor.tables,
        telemetry=Telemetry(sink=lambda _line: None),
        identifier=lambda: "7f3a91",
        report=lambda error: type(error).__name__,
        check=lambda value: check_object(value, live.extractor),
    )
    body = answerer.answer(review(asked.workload), now=NOW, started=0.0)
    assert body is not None
    response = json.loads(body)["response"]
    said = response["auditAnnotations"]
    reasons = frozenset(said.get("reasons", "").split(",")) - {""}
    causes = {cause["reason"] for cause in response.get("status", {}).get("details", {}).get("causes", ())}
    assert causes <= reasons
    assert bool(causes) is not response["allowed"]
    return Answer(said["outcome"], reasons, response["allowed"])


@cache
def _live(folder: Path) -> Live:
    broken: list[str] = []
    live = live_admission(folder, unmatched=Unmatched.ALLOW, problem=lambda *what: broken.append(str(what)))
    assert [*live.feed.poll(NOW), *broken] == []
    return live


def _of(decision: Decision) -> Answer:
    reasons = frozenset(finding.reason.value for finding in found(decision) if finding.reason is not None)
    return Answer(decision.outcome.label, reasons, decision.allowed)


def _reasons(findings: Iterable[Object]) -> frozenset[str]:
    return frozenset(finding["reason"] for finding in findings if finding["status"] in {"fail", "error", "pending"})
