import dataclasses
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.evidence import FormatFinding, FormatReport, Severity, WeightFormat
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Role
from modeltrust.policy.policy import Attested
from modeltrust.policy.requirements.formats import Formats, RemoteCode, Scope, Templates
from tests.support.statements import a_statement
from tests.support.trust import a_found, a_trust

SAFETENSORS = WeightFormat("Safetensors", 2, "model-00001-of-00002.safetensors", loadable=True)
PICKLE = WeightFormat("Pickle", 1, "pytorch_model.bin", loadable=True)
SPARE_PICKLE = WeightFormat("Pickle", 1, "old/pytorch_model.bin", loadable=False)
STRICT = Formats(frozenset({"Safetensors"}))


def finding(reason: Reason, **changes: Any) -> FormatFinding:
    return FormatFinding(**({"path": "config.json", "rule": "r", "reason": reason, "message": "m"} | changes))


def check(
    requirement: Formats = STRICT, *findings: FormatFinding, weights: tuple[WeightFormat, ...] = (SAFETENSORS,), **more: Any
) -> tuple[Finding, ...]:
    fact = more.get("fact", Known(FormatReport(weights, findings, "1", more.get("omitted", 0))))
    found = requirement.check(Attested(a_found(role=more.get("role", Role.BASE)), a_statement(formats=fact)), a_trust())
    assert all(entry.requirement == "formats" for entry in found)
    return found


def test_allowed_weights_and_nothing_found_pass() -> None:
    assert [entry.status for entry in check()] == [Status.PASS]


def test_weights_in_another_format_fail_with_an_example() -> None:
    (only,) = check(weights=(SAFETENSORS, PICKLE))
    assert (only.status, only.reason) == (Status.FAIL, Reason.FORMAT_NOT_ALLOWED)
    assert only.message == 'holds weights in Pickle (1 file, such as "pytorch_model.bin"); expected Safetensors'


def test_nothing_allowed_allows_nothing() -> None:
    assert check(Formats(frozenset()))[0].reason is Reason.FORMAT_NOT_ALLOWED


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.TOKENIZER, Role.CODE, Role.CONFIG}])
def test_a_model_without_weights_fails(role: Role) -> None:
    assert check(weights=(), role=role)[0].reason is Reason.FORMAT_NOT_ALLOWED


@pytest.mark.parametrize("role", [Role.TOKENIZER, Role.CODE, Role.CONFIG])
def test_a_tokenizer_code_or_configuration_needs_no_weights(role: Role) -> None:
    assert check(weights=(), role=role)[0].status is Status.PASS


def test_the_scope_loadable_leaves_out_what_no_loader_reads() -> None:
    loadable = Formats(frozenset({"Safetensors"}), scope=Scope.LOADABLE)
    spare = finding(Reason.MALFORMED_FILE, loadable=False)
    assert check(loadable, spare, weights=(SAFETENSORS, SPARE_PICKLE))[0].status is Status.PASS
    assert len(check(STRICT, spare, weights=(SAFETENSORS, SPARE_PICKLE))) == 2
    assert check(loadable, weights=(SAFETENSORS, PICKLE))[0].status is Status.FAIL
    assert check(loadable, weights=(SPARE_PICKLE,))[0].reason is Reason.FORMAT_NOT_ALLOWED


@pytest.mark.parametrize("reason", [Reason.FORMAT_NOT_ALLOWED, Reason.MALFORMED_FILE, Reason.LIMIT_EXCEEDED])
def test_no_permission_excuses_other_reasons(reason: Reason) -> None:
    lenient = Formats(frozenset({"Safetensors"}), RemoteCode.ALLOW, Templates.ANY)
    (only,) = check(lenient, finding(reason))
    assert (only.status, only.reason, only.message) == (Status.FAIL, reason, 'has "config.json" [r]: m')


@pytest.mark.parametrize(
    ("requirement", "reason", "status"),
    [
        (STRICT, Reason.REMOTE_CODE, Status.FAIL),
        (STRICT, Reason.UNSAFE_TEMPLATE, Status.FAIL),
        (Formats(STRICT.allowed, RemoteCode.ALLOW), Reason.REMOTE_CODE, Status.PASS),
        (Formats(STRICT.allowed, RemoteCode.ALLOW), Reason.UNSAFE_TEMPLATE, Status.FAIL),
        (Formats(STRICT.allowed, templates=Templates.ANY), Reason.UNSAFE_TEMPLATE, Status.PASS),
        (Formats(STRICT.allowed, templates=Templates.ANY), Reason.REMOTE_CODE, Status.FAIL),
    ],
)
def test_a_permission_excuses_its_own_reason_only(requirement: Formats, reason: Reason, status: Status) -> None:
    assert check(requirement, finding(reason))[0].status is status


def test_a_warning_informs_and_does_not_fail() -> None:
    assert check(STRICT, finding(Reason.MALFORMED_FILE, severity=Severity.WARNING))[0].status is Status.PASS


def test_findings_that_the_report_does_not_hold_fail_whatever_it_holds() -> None:
    lenient = Formats(STRICT.allowed, RemoteCode.ALLOW)
    excused, warning = finding(Reason.REMOTE_CODE), finding(Reason.MALFORMED_FILE, severity=Severity.WARNING)
    assert check(lenient, excused, omitted=1)[0].reason is Reason.LIMIT_EXCEEDED
    assert check(lenient, omitted=1)[0].reason is Reason.LIMIT_EXCEEDED
    assert check(lenient, excused, warning, omitted=1)[0].reason is Reason.LIMIT_EXCEEDED
    assert check(STRICT, warning, omitted=1)[0].message.startswith("holds more findings than a statement can: 1 were left out")
    assert check(dataclasses.replace(STRICT, scope=Scope.LOADABLE), omitted=3)[0].status is Status.FAIL


def test_many_findings_are_cut_and_counted() -> None:
    found = check(STRICT, *(finding(Reason.MALFORMED_FILE, path=f"{number}.json") for number in range(50)))
    assert len(found) == limits.FINDINGS_PER_REQUIREMENT
    assert found[-1].message.endswith("(and 40 more)")


def test_files_that_were_not_inspected_fail_and_those_that_could_not_be_are_an_error() -> None:
    assert [entry.status for entry in check(fact=Absent())] == [Status.FAIL]
    (error,) = check(fact=Unavailable("hub down"))
    assert (error.status, error.reason) == (Status.ERROR, Reason.FORMAT_NOT_ALLOWED)
