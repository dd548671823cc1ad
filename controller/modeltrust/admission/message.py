"""The words of a decision: denial, warnings, causes for machines, audit annotations.

Whoever reads a denial has a terminal and no access to this system; the first line alone must tell what happened, to which
object, and whom to ask (design/admission.md, "The text of a denial").
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from modeltrust.admission.plain import cut, plain
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.locator import path_of
from modeltrust.domain.reasons import Reason

DOCUMENTATION = "https://modeltrust.dev/requirements"
_PROBLEMS = (Status.FAIL, Status.ERROR, Status.PENDING)  # compared by identity first; a set would ask for an enumeration's hash
_NOT_ATTESTED, _INTERNAL_ERROR = Reason.NOT_ATTESTED, Reason.INTERNAL_ERROR
_MESSAGE_CHARACTERS = (
    480  # one problem: what an evaluation found stands behind what it asked; ten never fit, the first ones stay readable
)
_SHORT_CHARACTERS = 120  # where nothing longer fits
_FIX_CHARACTERS = 360
_NAME_CHARACTERS = 130
_AUDIT_CHARACTERS = 1_024  # of one annotation; the API server keeps far more, the log that collects them may not
_ROOM_FOR_REST = 120  # bytes kept for the line that counts what did not fit


class Subject(msgspec.Struct, frozen=True, gc=False):
    """The object that a decision is about, as its author knows it.

    Attributes:
        kind: of the object.
        namespace: empty for cluster-scoped objects.
        name: metadata.name, or generateName with a trailing "*".
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        name = self.name or "(unnamed)"
        where = f"{self.namespace}/{name}" if self.namespace else name
        return f"{plain(cut(self.kind, _NAME_CHARACTERS))} {plain(cut(where, _NAME_CHARACTERS))}"


class Cause(msgspec.Struct, frozen=True, gc=False):
    """One entry of ``status.details.causes``."""

    reason: str
    field: str
    message: str


class Summary(msgspec.Struct, frozen=True, gc=False):
    """What is wrong, for machines: each word once, sorted.

    Attributes:
        reasons: from ``domain.reasons``.
        policies: names.
        models: canonical references.
    """

    reasons: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


_NOTHING = Summary()


def problems(decision: Decision) -> tuple[Finding, ...]:
    """What keeps the object out, worst first, each said once; neither advisory nor excused by an exemption."""
    return _distinct(_telling(_denying(decision)))


def found(decision: Decision) -> tuple[Finding, ...]:
    """Everything that is wrong, under whichever policy and mode, unless an exemption excuses it: what is counted and logged."""
    return tuple([finding for finding in decision.findings if finding.status in _PROBLEMS and not finding.exempted_by])


def told(decision: Decision) -> tuple[Finding, ...]:
    """What whoever wrote the object is told by the command line: everything found, advice included, each said once."""
    return _distinct(_telling(found(decision)))


def denial(decision: Decision, subject: Subject, *, identifier: str) -> str:
    """The text of a denial, at most ``limits.DENIAL_BYTES`` bytes of UTF-8.

    Args:
        decision: not allowed.
        subject: which object.
        identifier: of this answer, as in the log.
    """
    return refusal(decision, subject, identifier=identifier)[0]


def refusal(decision: Decision, subject: Subject, *, identifier: str) -> tuple[str, tuple[Cause, ...]]:
    """The text of a denial and its causes, as ``denial`` and ``causes`` give them."""
    denying = _denying(decision)
    keeping_out = _distinct(_telling(denying))
    return _denial(denying, keeping_out, subject, identifier), _causes(keeping_out)


def _denial(denying: tuple[Finding, ...], keeping_out: tuple[Finding, ...], subject: Subject, identifier: str) -> str:
    head = f"modeltrust: {_count(len(keeping_out))} in {subject}{_by_whom(denying)}"
    tail = f"  {_link(keeping_out)}  id={plain(identifier)}"
    room = limits.DENIAL_BYTES - _size(head) - _size(tail)
    shown, rest = _fitting(keeping_out, room)
    return "\n".join([head, *shown, *_rest(rest), tail])


def warnings(decision: Decision) -> tuple[str, ...]:
    """What ``kubectl`` prints beside an admitted object: few lines of at most ``limits.WARNING_CHARACTERS`` characters.

    The API server cuts all warnings once they pass 4,096 runes together. What a policy in mode Audit finds is in the log and the
    audit annotations only.
    """
    if decision.outcome is not Outcome.WARN:
        return ()
    shown = _distinct(_telling([finding for finding in found(decision) if not finding.silent]))
    lines = [cut(f"modeltrust: [{_reason(finding)}] {plain(finding.message)}", limits.WARNING_CHARACTERS) for finding in shown]
    if len(lines) > limits.WARNINGS:
        lines[limits.WARNINGS - 1 :] = [f"modeltrust: and {len(lines) - limits.WARNINGS + 1} more"]
    return tuple(lines)


def causes(decision: Decision) -> tuple[Cause, ...]:
    """One entry for each problem, for machines."""
    return _causes(problems(decision))


def _causes(keeping_out: tuple[Finding, ...]) -> tuple[Cause, ...]:
    return tuple(
        [
            Cause(_reason(finding), path_of(finding.locator), cut(plain(finding.message), _MESSAGE_CHARACTERS))
            for finding in keeping_out[: limits.CAUSES]
        ]
    )


def summary(decision: Decision) -> Summary:
    """Everything found, advice included, in a few words."""
    wrong = found(decision) if decision.findings else ()
    if not wrong:
        return _NOTHING
    return Summary(
        tuple(sorted({_reason(finding) for finding in wrong})),
        tuple(sorted({finding.policy for finding in wrong if finding.policy})),
        tuple(sorted({finding.reference for finding in wrong if finding.reference})),
    )


def audit_annotations(decision: Decision, identifier: str, said: Summary | None = None) -> dict[str, str]:
    """What the API server keeps in its audit log, under our webhook's name.

    Args:
        decision: about the object.
        identifier: of the answer, as in the log.
        said: its summary, where it is at hand.
    """
    annotations = {"outcome": decision.outcome.label, "id": identifier}
    said = summary(decision) if said is None else said
    if said.reasons:
        annotations["reasons"] = ",".join(said.reasons)
        annotations["policies"] = cut(",".join(said.policies), _AUDIT_CHARACTERS)
        annotations["models"] = cut(",".join(said.models), _AUDIT_CHARACTERS)
    return annotations


def _denying(decision: Decision) -> tuple[Finding, ...]:
    return tuple([finding for finding in found(decision) if not finding.advisory])


def _telling(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Without what only follows: a model that fails a static requirement is not attested for that very reason."""
    if len(findings) <= 1:
        return iter(findings)
    failing = {finding.reference for finding in findings if finding.reason is not _NOT_ATTESTED}
    return (finding for finding in findings if finding.reason is not _NOT_ATTESTED or finding.reference not in failing)


def _distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    # Two policies that demand the same thing are one problem to whoever has to mend it.
    seen: dict[object, Finding] = {}
    for finding in findings:
        seen.setdefault((_reason(finding), finding.reference, finding.locator, finding.message), finding)
    return tuple(seen.values())


def _count(number: int) -> str:
    return "1 problem" if number == 1 else f"{number} problems"


def _by_whom(findings: tuple[Finding, ...]) -> str:
    policies = _some({finding.policy: None for finding in findings if finding.policy})
    contacts = _some({finding.contact: None for finding in findings if finding.contact})
    parts = []
    if policies:
        parts.append(f"{'policies' if ', ' in policies else 'policy'} {policies}")
    if contacts:
        parts.append(f"ask {contacts}")
    return f" ({', '.join(parts)})" if parts else ""


def _some(values: Iterable[str]) -> str:
    names = [plain(cut(value, 64)) for value in values]
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")  # noqa: PLR2004 - two fit a line


def _fitting(findings: tuple[Finding, ...], room: int) -> tuple[list[str], tuple[Finding, ...]]:
    shown: list[str] = []
    for index, finding in enumerate(findings[: limits.DENIAL_PROBLEMS]):
        more = _ROOM_FOR_REST if index + 1 < len(findings) else 0
        text = next((text for text in _spellings(finding) if _size(text) <= room - more), None)
        if text is None:
            return shown, findings[index:]
        shown.append(text)
        room -= _size(text)
    return shown, findings[len(shown) :]


def _spellings(finding: Finding) -> Iterator[str]:
    """One problem in full, without its fix, and shortened: the first that fits is taken."""
    line = f"[{_reason(finding)}] {cut(plain(finding.message), _MESSAGE_CHARACTERS)}"
    fix = plain(finding.fix, lines=True).strip()
    if fix and len(fix) <= _FIX_CHARACTERS:  # half a fix is worse than none
        yield line + "\n  Fix: " + fix.replace("\n", "\n    ")
    yield line
    yield cut(line, _SHORT_CHARACTERS)


def _rest(findings: tuple[Finding, ...]) -> list[str]:
    if not findings:
        return []
    counts = Counter(_reason(finding) for finding in findings).most_common(2)
    words = ", ".join(f"{reason} ({number})" if number > 1 else reason for reason, number in counts)
    return [f"and {len(findings)} more: {words}{' …' if sum(number for _, number in counts) < len(findings) else ''}"]


def _link(findings: tuple[Finding, ...]) -> str:
    name = next((finding.requirement for finding in findings if finding.requirement), "")
    return f"{DOCUMENTATION}#{name.lower()}" if name else DOCUMENTATION


def _reason(finding: Finding) -> str:
    return str(finding.reason or _INTERNAL_ERROR)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace")) + 1
