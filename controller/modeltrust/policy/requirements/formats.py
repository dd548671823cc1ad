"""Formats: the model holds only what its loader can read without running it.

Judged from the format report in the statement: which formats the weights have, and what was found in which file. The scope
`Repository` counts every file, `Loadable` only those that a loader reads. `remoteCode: Allow` and `templates: Any` excuse findings
of that reason alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import FormatFinding, FormatReport, Severity, WeightFormat
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Role
from modeltrust.policy.policy import Attested, Trust
from modeltrust.policy.wording import listed

_PASS = (Finding("formats", Status.PASS),)
_WITHOUT_WEIGHTS = frozenset({Role.TOKENIZER, Role.CODE, Role.CONFIG})


class RemoteCode(StrEnum):
    """Whether a model may make its loader run code."""

    DENY = "Deny"
    ALLOW = "Allow"


class Templates(StrEnum):
    """Which chat templates a model may bring."""

    SAFE = "Safe"
    ANY = "Any"


class Scope(StrEnum):
    """Which files count."""

    REPOSITORY = "Repository"
    LOADABLE = "Loadable"


@dataclass(frozen=True, slots=True)
class Formats:
    """The model holds only allowed formats, no code, safe templates.

    Attributes:
        allowed: names of weight formats, as in the API; empty allows none.
        remote_code: see RemoteCode.
        templates: see Templates.
        scope: see Scope.
    """

    allowed: frozenset[str]
    remote_code: RemoteCode = RemoteCode.DENY
    templates: Templates = Templates.SAFE
    scope: Scope = Scope.REPOSITORY
    name: ClassVar[str] = "formats"

    def check(self, subject: Attested, trust: Trust) -> tuple[Finding, ...]:  # noqa: ARG002 - the one shape
        """Pass, or one finding for each format or file that is not allowed, bounded."""
        fact = subject.statement.formats
        if isinstance(fact, Known):
            if self._is_clean(fact.value):
                return _PASS
            problems = self._problems(fact.value, subject.found.role)
            return _bounded(problems) or _PASS
        if isinstance(fact, Absent):
            return (_fail(Reason.FORMAT_NOT_ALLOWED, "its files were not inspected"),)
        return (Finding("formats", Status.ERROR, Reason.FORMAT_NOT_ALLOWED, f"has files that could not be inspected: {fact.why}"),)

    def _is_clean(self, report: FormatReport) -> bool:
        """The usual case, which every scope and permission passes: weights of allowed formats and nothing found."""
        if report.findings or report.omitted or not report.formats:
            return False
        for weight in report.formats:  # noqa: SIM110 - a generator costs more than the comparison
            if not weight.loadable or weight.name not in self.allowed:
                return False
        return True

    def _problems(self, report: FormatReport, role: Role) -> list[Finding]:
        weights = [weight for weight in report.formats if weight.loadable or self.scope == Scope.REPOSITORY]
        problems = [self._not_allowed(weight) for weight in weights if weight.name not in self.allowed]
        if not weights and role not in _WITHOUT_WEIGHTS:
            problems.append(_fail(Reason.FORMAT_NOT_ALLOWED, f"holds no weights; expected {listed(sorted(self.allowed))}"))
        problems += [
            _fail(finding.reason, f"has {quote(finding.path)} [{finding.rule}]: {finding.message}")
            for finding in report.findings
            if self._counts(finding)
        ]
        if report.omitted:
            # Whatever was left out may be worse than what was recorded, so no permission excuses it and no scope passes over it.
            message = f"holds more findings than a statement can: {report.omitted} were left out, so nobody knows what they say"
            problems.append(_fail(Reason.LIMIT_EXCEEDED, message))
        return problems

    def _not_allowed(self, weight: WeightFormat) -> Finding:
        files = f"{weight.files} file{'' if weight.files == 1 else 's'}, such as {quote(weight.example)}"
        return _fail(
            Reason.FORMAT_NOT_ALLOWED, f"holds weights in {weight.name} ({files}); expected {listed(sorted(self.allowed))}"
        )

    def _counts(self, finding: FormatFinding) -> bool:
        if finding.severity is Severity.WARNING or not (finding.loadable or self.scope == Scope.REPOSITORY):
            return False
        if finding.reason is Reason.REMOTE_CODE:
            return self.remote_code != RemoteCode.ALLOW
        return finding.reason is not Reason.UNSAFE_TEMPLATE or self.templates != Templates.ANY


def _bounded(problems: list[Finding]) -> tuple[Finding, ...]:
    most = limits.FINDINGS_PER_REQUIREMENT
    if len(problems) <= most:
        return tuple(problems)
    last = problems[most - 1]
    more = _fail(last.reason or Reason.FORMAT_NOT_ALLOWED, f"{last.message} (and {len(problems) - most} more)")
    return (*problems[: most - 1], more)


def _fail(reason: Reason, message: str) -> Finding:
    return Finding("formats", Status.FAIL, reason, message, _FIXES.get(reason, ""))


_FIXES = {
    Reason.FORMAT_NOT_ALLOWED: "convert the weights to an allowed format and remove the file",
    Reason.LIMIT_EXCEEDED: "read all of them with modeltrust inspect, and mend or remove the files",
    Reason.MALFORMED_FILE: "write the file again with the format's own library",
    Reason.REMOTE_CODE: "use a model class of the library and remove the file or key",
    Reason.UNSAFE_TEMPLATE: "use the chat template of the base model",
}
