"""What must hold of an installation, one check after another; each looks for itself and says what to do."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from modeltrust.admission.decide import Question
from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.api.webhooks import FAIL_CLOSED, NEVER_SENT, rules
from modeltrust.cli import accounts
from modeltrust.cli.certificates import earliest_end
from modeltrust.domain import limits
from modeltrust.domain.decision import Outcome
from modeltrust.domain.errors import MalformedError, ModelTrustError, NotFoundError, UnavailableError, quote
from modeltrust.domain.values import value
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, Object, RefusedError
from modeltrust.wiring.snapshot import ATTESTORS_KEY, ATTESTORS_MAP, CONFIGURATION, Trusted

_ADMISSION = "admissionregistration.k8s.io/v1"
_GUARDS = ("namespace-labels.modeltrust.dev", "webhook-configurations.modeltrust.dev", "status-writers.modeltrust.dev")
_CERTIFICATE_SECONDS = 7 * 24 * 3600  # left: certificates are renewed at two thirds of their life, so this is late
_LONGEST_TIMEOUT = 10
_SHOWN = 3
_PROBE = "modeltrust-doctor-probe"


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"  # we could not look


@value
class Check:
    """One line.

    Attributes:
        name: of the check.
        state: how it ended.
        message: what was found.
        fix: what to do; empty where nothing is.
    """

    name: str
    state: State
    message: str
    fix: str = ""


def _ok(name: str, message: str) -> Check:
    return Check(name, State.OK, message)


def _bad(name: str, message: str, fix: str) -> Check:
    return Check(name, State.FAILED, message, fix)


class Installation:
    """One installation, seen with the caller's eyes."""

    def __init__(self, api: ApiServer, trusts: Trusted, *, namespace: str, now: float) -> None:
        """Begin without looking.

        Args:
            api: the API server.
            trusts: what the cluster trusts.
            namespace: of the release; empty where it is not known.
            now: unix seconds.
        """
        self._api = api
        self._trusts = trusts
        self._namespace = namespace
        self._now = now

    def checks(self) -> Iterator[Check]:
        """Every check, in the order in which a person would mend things."""
        looks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
            ("kinds", self._kinds),
            ("webhook configuration", self._configuration),
            ("processes", self._processes),
            ("certificates", self._certificates),
            ("attestors", self._attestors),
            ("leader", self._lease),
            ("guards", self._guards),
            ("accounts", self._accounts),
            ("objects", self._objects),
            ("namespaces", self._namespaces),
            ("a denial", self._probe),
        )
        for name, look in looks:
            try:
                yield from look()
            except NotFoundError as error:
                yield _bad(name, f"not there: {error}", "helm upgrade --install modeltrust …")
            except ModelTrustError as error:
                yield Check(name, State.UNKNOWN, str(error), "ask somebody with more permissions to run this")

    def _kinds(self) -> Iterator[Check]:
        wrong = []
        for kind in KINDS.values():
            name = f"{kind.plural}.modeltrust.dev"
            try:
                found = self._api.get_object(paths.group("apiextensions.k8s.io/v1", "customresourcedefinitions", name))
            except NotFoundError:
                wrong.append(f"{name} is missing")
                continue
            versions = {version["name"] for version in found["spec"]["versions"] if version.get("served")}
            established = any(_holds(entry, "Established") for entry in (found.get("status") or {}).get("conditions") or [])
            if "v1alpha1" not in versions or not established:
                wrong.append(f"{name} does not serve v1alpha1")
        if wrong:
            yield _bad("kinds", _some(wrong), "kubectl apply --server-side -f crds/ of this version")
        else:
            yield _ok("kinds", f"all {len(KINDS)} are served")

    def _configuration(self) -> Iterator[Check]:
        path = paths.group(_ADMISSION, "validatingwebhookconfigurations", CONFIGURATION)
        webhooks = self._api.get_object(path).get("webhooks") or []
        closed = [webhook for webhook in webhooks if webhook["name"].startswith("closed.")]
        opened = [webhook for webhook in webhooks if webhook["name"].startswith("open.")]
        if not closed or not opened:
            yield _bad("webhook configuration", f"got {len(webhooks)} webhooks, expected open and closed", "helm upgrade")
        for webhook in webhooks:
            yield from self._webhook(webhook, fail=webhook in closed)

    def _webhook(self, webhook: Object, *, fail: bool) -> Iterator[Check]:
        name = f"webhook {webhook['name'].partition('.')[0]}"
        missing = _missing(webhook, rules(self._rows(), fail=fail))
        if missing:
            yield _bad(name, f"the API server does not ask about {_some(missing)}", "helm upgrade to the version of the webhook")
        seconds = webhook.get("timeoutSeconds", _LONGEST_TIMEOUT)
        if seconds > _LONGEST_TIMEOUT:
            yield _bad(name, f"timeoutSeconds is {seconds}: an outage holds every request that long", "set it to 3")
        unsent = _excluded(webhook)
        lacking = [space for space in (*NEVER_SENT, self._namespace) if space and space not in unsent]
        if lacking:
            yield _bad(name, f"asks about {_some(lacking)}: an outage could not mend itself", "helm upgrade")
        yield from self._bundle(name, (webhook.get("clientConfig") or {}).get("caBundle") or "")
        policy = webhook.get("failurePolicy", "Fail")
        if fail and policy != "Fail":
            yield _ok(name, f"failurePolicy {policy}: fail-closed namespaces are open, too, until mode is Enforce")
        elif not missing and not lacking:
            yield _ok(name, f"asked about every kind of the tables, failurePolicy {policy}, {seconds} s")

    def _rows(self) -> list[Any]:
        return list({id(row): row for row in self._trusts.extractor.tables.kinds.values()}.values())

    def _bundle(self, name: str, bundle: str) -> Iterator[Check]:
        if not bundle:
            yield _bad(name, "caBundle is empty: every call fails", "the operator or cert-manager fills it; see their logs")
            return
        yield self._certificate(f"{name}, caBundle", _decoded(bundle))

    def _certificate(self, name: str, pem: bytes) -> Check:
        try:
            left = earliest_end(pem) - self._now
        except MalformedError as error:
            return _bad(name, str(error), "delete the Secret; it is made anew")
        fix = "the operator or cert-manager renews it; see their logs"
        if left <= 0:
            return _bad(name, "the certificate has ended", fix)
        days = f"{left / 86_400:.0f} days left"
        return _bad(name, days, fix) if left < _CERTIFICATE_SECONDS else _ok(name, days)

    def _processes(self) -> Iterator[Check]:
        self._known_namespace()
        for component in accounts.COMPONENTS:
            name = f"modeltrust-{component}"
            try:
                found = self._api.get_object(paths.group("apps/v1", "deployments", name, namespace=self._namespace))
            except NotFoundError:
                yield _bad(component, f"there is no Deployment {name}", "helm upgrade --install modeltrust …")
                continue
            wanted = found["spec"].get("replicas", 1)
            ready = (found.get("status") or {}).get("readyReplicas", 0)
            if ready < max(1, wanted):
                fix = f"kubectl -n {self._namespace} describe deployment {name}"
                yield _bad(component, f"{ready} of {wanted} replicas are ready", fix)
            else:
                yield _ok(component, f"{ready} of {wanted} replicas are ready")

    def _certificates(self) -> Iterator[Check]:
        self._known_namespace()
        path = paths.core("secrets", "modeltrust-webhook-tls", namespace=self._namespace)
        data = self._api.get_object(path).get("data") or {}  # tls.crt alone is looked at, and nothing of it is shown
        yield self._certificate("serving certificate", _decoded(str(data.get("tls.crt", ""))))

    def _attestors(self) -> Iterator[Check]:
        self._known_namespace()
        found = self._api.get_object(paths.core("configmaps", ATTESTORS_MAP, namespace=self._namespace))
        if not (found.get("data") or {}).get(ATTESTORS_KEY):
            yield _bad("attestors", f"ConfigMap {ATTESTORS_MAP} is empty: no statement counts", "see the operator's log")
            return
        refused, count = 0, 0
        for answer in self._trusts.store.statements.unverified():
            count += 1
            refused += type(answer(int(self._now))).__name__ == "InvalidStatement"
            if count >= limits.AUDIT_HITS:
                break
        if refused:
            fix = "the operator signs them anew with the key that is listed; see its log"
            yield _bad("attestors", f"{refused} of {count} statements do not verify with the attestors that are listed", fix)
        else:
            yield _ok("attestors", f"all of {count} statements verify")

    def _lease(self) -> Iterator[Check]:
        self._known_namespace()
        path = paths.group("coordination.k8s.io/v1", "leases", "modeltrust-operator", namespace=self._namespace)
        spec = self._api.get_object(path).get("spec") or {}
        holder, length = spec.get("holderIdentity") or "", spec.get("leaseDurationSeconds") or 0
        age = self._now - _moment(spec.get("renewTime"))
        if not holder or age > length:
            fix = f"kubectl -n {self._namespace} logs deployment/modeltrust-operator"
            yield _bad("leader", f"no operator leads; the Lease was renewed {age:.0f} s ago", fix)
        else:
            yield _ok("leader", f"{quote(holder)}, renewed {max(0.0, age):.0f} s ago")

    def _guards(self) -> Iterator[Check]:
        wrong = []
        bindings = list(self._api.list_objects(paths.group(_ADMISSION, "validatingadmissionpolicybindings")))
        bound = {entry["spec"]["policyName"] for entry in bindings if "Deny" in (entry["spec"].get("validationActions") or [])}
        for guard in _GUARDS:
            try:
                self._api.get_object(paths.group(_ADMISSION, "validatingadmissionpolicies", guard))
            except NotFoundError:
                wrong.append(f"{guard} is missing")
                continue
            if guard not in bound:
                wrong.append(f"{guard} is not bound with Deny")
        if wrong:
            yield _bad("guards", _some(wrong), "helm upgrade: without them, whoever labels a namespace decides what applies there")
        else:
            yield _ok("guards", f"all {len(_GUARDS)} are bound")

    def _accounts(self) -> Iterator[Check]:
        self._known_namespace()
        wrong = accounts.more_than_the_chart_gives(self._api, self._namespace)
        if wrong:
            yield _bad("accounts", f"more than the chart gives: {_some(wrong)}", "helm upgrade, and delete what was added")
        else:
            yield _ok("accounts", "our service accounts hold what the chart gives, and no more")

    def _objects(self) -> Iterator[Check]:
        wrong, count = [], 0
        for kind in KINDS.values():
            if kind.plural == "modelattestations":
                continue  # many, and each says so itself
            for obj in self._api.list_objects(paths.ours(kind.plural)):
                count += 1
                conditions = (obj.get("status") or {}).get("conditions") or []
                said = next((entry for entry in conditions if entry.get("type") == "Ready"), None)
                if said is not None and said.get("status") != "True":
                    wrong.append(f"{kind.name} {obj['metadata']['name']}: {said.get('message', 'not Ready')}")
        wrong += [problem for problem in self._trusts.problems if problem not in wrong]
        if wrong:
            yield _bad("objects", _some(wrong), "kubectl describe them; a broken policy denies what it matches")
        else:
            yield _ok("objects", f"{count} policies, signers, sources … are understood")

    def _namespaces(self) -> Iterator[Check]:
        snapshot = self._trusts.store.snapshot()
        closed = sorted(name for name, labels in snapshot.namespaces.items() if labels.get(FAIL_CLOSED) == "true")
        enforced = [policy.name for policy in snapshot.policies if policy.enforced(int(self._now))]
        if enforced and not closed:
            message = f"{len(enforced)} policies are enforced and no namespace fails closed: an outage of the webhook admits"
        else:
            message = f"{len(closed)} fail closed" + (f": {_some(closed)}" if closed else "")
        yield _ok("namespaces", message)

    def _probe(self) -> Iterator[Check]:
        """A Pod that an enforced policy must deny, as a dry-run."""
        found = next((pod for name in self._trusts.store.snapshot().namespaces if (pod := self._denied(name)) is not None), None)
        if found is None:
            yield _ok("a denial", "not tried: no policy that is enforced denies an unpinned model in any namespace")
            return
        namespace = found["metadata"]["namespace"]
        path = f"{paths.core('pods', namespace=namespace)}?dryRun=All"
        try:
            self._api.create_object(path, found)
        except RefusedError as error:
            if "modeltrust:" in str(error):
                yield _ok("a denial", f"a Pod with an unpinned model is denied in {namespace}")
            else:
                yield Check("a denial", State.UNKNOWN, f"the probe was refused by somebody else: {error}")
            return
        yield _bad(
            "a denial", f"a Pod with an unpinned model was admitted in {namespace}", "see the checks above; the webhook's log"
        )

    def _denied(self, namespace: str) -> Object | None:
        """A Pod that policies in force deny there; None where they do not."""
        if namespace in {*NEVER_SENT, self._namespace}:
            return None
        container = {"name": "probe", "image": "vllm/vllm-openai:probe", "args": ["--model", "modeltrust-doctor/probe"]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": _PROBE, "namespace": namespace},
            "spec": {"containers": [container]},
        }
        decision = self._trusts.admission().decide(Question(json.dumps(pod).encode(), namespace, dry_run=True), int(self._now))
        return pod if decision.outcome is Outcome.DENY else None

    def _known_namespace(self) -> None:
        if not self._namespace:
            raise UnavailableError("the release namespace is not known: --release-namespace NS")


def _holds(condition: Mapping[str, Any], kind: str) -> bool:
    return condition.get("type") == kind and condition.get("status") == "True"


def _missing(webhook: Mapping[str, Any], wanted: list[dict[str, Any]]) -> list[str]:
    def places(entries: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
        return {
            (group, version, resource, operation)
            for entry in entries
            for group in entry.get("apiGroups") or []
            for version in entry.get("apiVersions") or []
            for resource in entry.get("resources") or []
            for operation in entry.get("operations") or []
        }

    lacking = places(wanted) - places(webhook.get("rules") or [])
    return sorted({f"{resource}.{group}".rstrip(".") for group, _, resource, _ in lacking})


def _excluded(webhook: Mapping[str, Any]) -> set[str]:
    terms = (webhook.get("namespaceSelector") or {}).get("matchExpressions") or []
    names = [term for term in terms if term.get("key") == "kubernetes.io/metadata.name" and term.get("operator") == "NotIn"]
    return {name for term in names for name in term.get("values") or []}


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
