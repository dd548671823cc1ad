"""`modeltrust inventory`: what runs in a cluster, what of it is pinned and attested, and what a policy would deny."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from modeltrust.admission import message
from modeltrust.admission.decide import Admission, Question
from modeltrust.admission.plain import plain
from modeltrust.api.webhooks import NEVER_SENT
from modeltrust.cli import files, options
from modeltrust.cli.cluster import reaching, trusted, trusting
from modeltrust.cli.exits import Exit
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.domain.decision import Decision, Outcome
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.values import value
from modeltrust.domain.workload import FoundReference, Workload
from modeltrust.kube.client import ApiServer, GoneError, RefusedError
from modeltrust.kube.workloads import Item, Link, Owners, Served, objects
from modeltrust.policy.pinning import is_pinned, pinned_identity
from modeltrust.wiring.snapshot import Trusted, release_namespace, replace_policies

_ATTEMPTS = 3  # lists of one kind, where changes outran the pages
_NOT_JUDGED = Outcome.ADMIT


@value
class Line:
    """One model of one workload, or one thing in it that cannot be named.

    Attributes:
        model: canonical, with the revision where one is stated; empty for what cannot be named.
        role: what it is used for.
        state: of the revision.
        pinned: whether its content can never change.
        source: who serves it: a host, a bucket, a claim.
        attested: ``yes``, ``no``, ``expired``, ``invalid``, or ``unknown`` where nobody's statements are believed.
        unresolved: reason and sentence, of what cannot be named.
    """

    model: str
    role: str = ""
    state: str = ""
    pinned: bool = False
    source: str = ""
    attested: str = ""
    unresolved: str = ""


@dataclass(slots=True)
class Entry:
    """One workload: its models, and what the policies would say if they were enforced."""

    lines: dict[Line, None] = field(default_factory=dict)
    outcome: Outcome = _NOT_JUDGED
    reasons: set[str] = field(default_factory=set)
    judged: bool = False


@dataclass(slots=True)
class Inventory:
    """Everything found, by workload."""

    entries: dict[Link, Entry] = field(default_factory=dict)
    not_listed: list[str] = field(default_factory=list)
    scanned: int = 0


@click.command("inventory")
@reaching
@click.option("-n", "--namespace", default="", help="only this namespace")
@click.option("-A", "--all-namespaces", is_flag=True, help="all namespaces, which is the default")
@trusting
@click.option("--policy", metavar="FILE", multiple=True, help="what if: judge by these policies instead of those in force")
@click.option("--now", metavar="TIME", help="judge as of this time (RFC 3339)")
@options.output("json")
def command(  # noqa: PLR0913 - one parameter per option
    *,
    api: ApiServer,
    namespace: str,
    all_namespaces: bool,
    trust: str | None,
    attestors: Path | None,
    policy: tuple[str, ...],
    now: str | None,
    output: str,
) -> int:
    """What runs in the cluster, what of it is pinned and attested, and what would be denied if every policy were enforced.

    Works with nothing installed: reading workloads is enough. A Deployment, its ReplicaSets and Pods are one workload.

    \b
    Examples:
      modeltrust inventory
      modeltrust inventory -n team-a --policy policies/production.yaml
      modeltrust inventory -o json | jq '.workloads[] | select(.outcome == "deny") | .namespace' | sort | uniq -c
    """
    moment = options.parse_now(now)
    trusts = trusted(api, trust=trust, attestors=attestors, now=moment)
    if policy:
        replace_policies(trusts.store, [document.value for document in files.documents(policy)])
    judging = bool(trusts.store.snapshot().policies or trusts.store.snapshot().revocations)
    taker = Taker(api, trusts, moment, judging=judging)
    found = taker.take("" if all_namespaces else namespace)
    if output == "json":
        _write_json(found, trusts, judging=judging)
    else:
        _write_text(found, trusts, judging=judging)
    if found.not_listed:
        return int(Exit.UNDECIDED)
    return int(Exit.OK if found.entries else Exit.NOTHING)


class Taker:
    """Takes the inventory of one cluster."""

    def __init__(self, api: ApiServer, trusts: Trusted, now: int, *, judging: bool) -> None:
        """Begin without asking anything.

        Args:
            api: the API server.
            trusts: what decides.
            now: unix seconds.
            judging: whether there is anything to judge by.
        """
        self._api = api
        self._trusts = trusts
        self._admission: Admission | None = trusts.enforced() if judging else None
        self._now = now
        self._exempt = {*NEVER_SENT, release_namespace(api)} if judging else set()

    def take(self, namespace: str) -> Inventory:
        """List every kind, one page at a time."""
        inventory, owners, parts = Inventory(), Owners(), list[tuple[Link, Entry]]()
        for served in self._trusts.discover(self._api):
            if namespace and not served.namespaced:
                continue
            try:
                parts += self._kind(served, namespace, owners, inventory)
            except RefusedError:
                inventory.not_listed.append(f"{served.plural}.{served.group}".rstrip("."))
        for link, part in parts:
            _join(inventory.entries.setdefault(owners.root(link), Entry()), part)
        return inventory

    def _kind(self, served: Served, namespace: str, owners: Owners, inventory: Inventory) -> list[tuple[Link, Entry]]:
        for _ in range(_ATTEMPTS):
            parts: list[tuple[Link, Entry]] = []
            count = 0
            try:
                for found in objects(self._api, served, namespace=namespace):
                    count += 1
                    owners.add(found)
                    entry = None if found.finished else self._entry(found)
                    if entry is not None:
                        parts.append((found.link, entry))
            except GoneError:
                continue
            inventory.scanned += count
            return parts
        raise UnavailableError(f"the list of {served.plural} expired {_ATTEMPTS} times before it was complete")

    def _entry(self, found: Item) -> Entry | None:
        try:
            workload = self._trusts.extractor.extract(found.data, namespace=found.link.namespace)
        except MalformedError as error:
            return Entry({Line("", unresolved=f"UnresolvedReference: {plain(str(error))}"): None})
        models = [self._line(reference) for reference in workload.references]
        lines = [*models, *_unnamed(workload)]
        decision = self._decide(found)
        if not lines and (decision is None or decision.outcome is Outcome.ADMIT):
            return None
        entry = Entry(dict.fromkeys(lines))
        if decision is not None:
            entry.outcome, entry.judged = decision.outcome, True
            entry.reasons = set(message.summary(decision).reasons)
        return entry

    def _decide(self, found: Item) -> Decision | None:
        if self._admission is None or found.link.namespace in self._exempt:
            return None
        return self._admission.decide(Question(found.data, found.link.namespace), self._now)

    def _line(self, found: FoundReference) -> Line:
        revision = f"@{found.revision.value}" if found.revision.value else ""
        return Line(
            f"{found.reference}{revision}",
            found.role.value,
            found.revision.state.value,
            is_pinned(found),
            source_of(found),
            self._attested(found),
        )

    def _attested(self, found: FoundReference) -> str:
        identity = pinned_identity(found)
        if not self._trusts.attestors:
            return "unknown"
        fact = Absent() if identity is None else self._trusts.store.statements.look_up(identity, self._now)
        if not isinstance(fact, Known):
            return "no"
        if not isinstance(fact.value, Statement):
            return "invalid"
        return "yes" if fact.value.expires_at >= self._now else "expired"


def source_of(found: FoundReference) -> str:
    """Who serves a model: the host that is asked, or the bucket or claim it lies in."""
    reference = found.reference
    if reference.resolver is not None:
        return reference.resolver.removeprefix("https://")
    return "huggingface.co" if reference.scheme == "hf" else f"{reference.scheme}://{reference.path.partition('/')[0]}"


def _unnamed(workload: Workload) -> list[Line]:
    return [Line("", unresolved=f"{found.reason.value}: {plain(found.message)}") for found in workload.unresolved]


def _join(entry: Entry, part: Entry) -> None:
    entry.lines |= part.lines
    entry.outcome = max(entry.outcome, part.outcome)
    entry.reasons |= part.reasons
    entry.judged |= part.judged


def _sorted(found: Inventory) -> list[tuple[Link, Entry]]:
    return sorted(found.entries.items(), key=lambda pair: (pair[0].namespace, pair[0].kind, pair[0].name))


def _summary(found: Inventory) -> dict[str, int]:
    entries = found.entries.values()
    lines = [line for entry in entries for line in entry.lines]
    return {
        "workloads": len(found.entries),
        "models": len({line.model for line in lines if line.model}),
        "unpinned": sum(any(line.model and not line.pinned for line in entry.lines) for entry in entries),
        "unresolved": sum(any(line.unresolved for line in entry.lines) for entry in entries),
        "wouldDeny": sum(entry.outcome in {Outcome.DENY, Outcome.ERROR} for entry in entries),
        "pending": sum(entry.outcome is Outcome.PENDING for entry in entries),
        "scanned": found.scanned,
    }


def _write_json(found: Inventory, trusts: Trusted, *, judging: bool) -> None:
    json_output.write(
        {
            "installed": trusts.installed,
            "summary": _summary(found),
            "notListed": found.not_listed,
            "problems": list(trusts.problems),
            "workloads": [_object(link, entry, judging=judging) for link, entry in _sorted(found)],
        }
    )


def _object(link: Link, entry: Entry, *, judging: bool) -> dict[str, Any]:
    return {
        "namespace": link.namespace,
        "kind": link.kind,
        "name": link.name,
        "outcome": entry.outcome.label if judging and entry.judged else None,
        "reasons": sorted(entry.reasons),
        "models": [
            {
                "model": line.model,
                "role": line.role,
                "revisionState": line.state,
                "pinned": line.pinned,
                "source": line.source,
                "attested": line.attested,
            }
            for line in entry.lines
            if line.model
        ],
        "unresolved": [line.unresolved for line in entry.lines if line.unresolved],
    }


_HEADINGS = ("NAMESPACE", "WORKLOAD", "MODEL", "REVISION", "SOURCE", "ATTESTED", "IF ENFORCED")


def _write_text(found: Inventory, trusts: Trusted, *, judging: bool) -> None:
    rows = [_HEADINGS]
    for link, entry in _sorted(found):
        verdict = _verdict(entry) if judging else "-"
        for line in entry.lines:
            what = line.model or f"? {line.unresolved}"
            state = f"{line.state}" if line.pinned or not line.model else f"{line.state} (floats)"
            row = (link.namespace or "-", f"{link.kind}/{link.name}", what, state or "-", line.source or "-", line.attested or "-")
            rows.append((*row, verdict))
        if not entry.lines:
            rows.append((link.namespace or "-", f"{link.kind}/{link.name}", "-", "-", "-", "-", verdict))
    if len(rows) > 1:
        text.table(rows)
    counts = _summary(found)
    said = [f"{counts['workloads']} workloads with {counts['models']} models", f"{counts['unpinned']} not pinned"]
    said += [f"{counts['unresolved']} that load something nobody can name"]
    said += [f"{counts['wouldDeny']} would be denied, {counts['pending']} pending"] if judging else []
    text.say(f"{', '.join(said)} ({counts['scanned']} objects read)")
    for note in _notes(found, trusts, judging=judging):
        click.echo(f"modeltrust: {note}", err=True)


def _verdict(entry: Entry) -> str:
    if not entry.judged:
        return "not judged"
    return " ".join([entry.outcome.label, *sorted(entry.reasons)])


def _notes(found: Inventory, trusts: Trusted, *, judging: bool) -> list[str]:
    notes = [f"not listed, no permission: {', '.join(found.not_listed)}; what runs there is missing above"] * bool(found.not_listed)
    notes += trusts.problems
    if not judging:
        notes.append("nothing to judge by: no policies in the cluster; --policy FILE says what one would do")
    elif not trusts.attestors:
        notes.append("no attestor file was found, so nothing counts as attested; --attestors FILE or --trust DIR names one")
    return notes
