"""The webhook configurations: which objects the API server asks about, and what follows when nobody answers.

Two webhooks with complementary namespaceSelectors (design/admission.md, "Modes and failure"): one that fails open, for namespaces
that have not asked for more, and one that fails closed. Every rule of the second has scope Namespaced, since a namespaceSelector
never skips a cluster-scoped object and each would reach both. Rules for kinds whose CRD is absent do no harm.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modeltrust.references.schema import KindRow

FAIL_CLOSED = "modeltrust.dev/fail-closed"  # label of namespaces, value "true"; guarded like every label with our prefix
NEVER_SENT = ("kube-system", "kube-node-lease", "kube-public")  # the cluster must be able to mend itself without us
TIMEOUT_SECONDS = 3
_OURS = "modeltrust.dev"
_OUR_RESOURCES = (
    "evaluationsuites",
    "modelattestations",
    "modelpolicies",
    "modelreferencemappings",
    "modelrevocations",
    "modelsources",
    "policyexemptions",
    "trustedsigners",
)
_OPERATIONS = ["CREATE", "UPDATE"]
_SUBRESOURCES = {("", "pods"): ["pods/ephemeralcontainers"]}

Rule = dict[str, Any]


def rules(kinds: Iterable[KindRow], *, fail: bool) -> list[Rule]:
    """The rules of one of the two webhooks.

    Args:
        kinds: every workload kind of the tables.
        fail: of the one that fails closed; it asks about namespaced objects only.
    """
    resources: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for row in kinds:
        if (fail and row.cluster) or not row.names_models:
            continue  # rows that say "nothing here" save the generic walk; the API server need not ask
        place = resources.setdefault((row.group, tuple(sorted(row.versions))), set())
        for kind in row.kinds:
            place.update([plural(kind), *_SUBRESOURCES.get((row.group, plural(kind)), ())])
    scope = "Namespaced" if fail else "*"
    found = [_rule(group, versions, sorted(names), scope) for (group, versions), names in sorted(resources.items())]
    return found if fail else [*found, _rule(_OURS, ("*",), list(_OUR_RESOURCES), scope)]


def configuration(
    name: str, *, ignore: list[Rule], fail: list[Rule], client: Mapping[str, Any], never: Iterable[str] = ()
) -> dict[str, Any]:
    """The whole object.

    Args:
        name: of the object; starts with ``modeltrust``, so that the guards cover it.
        ignore: rules of the webhook that fails open.
        fail: rules of the one that fails closed.
        client: how the API server reaches the webhook (``service`` or ``url``, and ``caBundle``).
        never: further namespaces that are never sent: the release's own and the jobs'.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            _webhook("open", "Ignore", "NotIn", ignore, client, never),
            _webhook("closed", "Fail", "In", fail, client, never),
        ],
    }


def mutating_configuration(name: str, *, client: Mapping[str, Any], never: Iterable[str] = ()) -> dict[str, Any]:
    """The MutatingWebhookConfiguration: Pods alone, when they are created.

    It fails open whatever a namespace asked for: the validating webhook demands what it adds. Asked again after other webhooks,
    since one of them may fill the volume (KServe's storage-initializer) or put a container behind ours.

    Args:
        name: of the object; starts with ``modeltrust``, so that the guards cover it.
        client: how the API server reaches the webhook (``service`` or ``url``, and ``caBundle``).
        never: further namespaces that are never sent: the release's own and the jobs'.
    """
    webhook = _webhook(
        "load", "Ignore", "", [_rule("", ("v1",), ["pods"], "Namespaced") | {"operations": ["CREATE"]}], client, never
    )
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook | {"reinvocationPolicy": "IfNeeded", "sideEffects": "None"}],
    }


def plural(kind: str) -> str:
    """The resource name of a kind, as generators of CRDs derive it."""
    lower = kind.lower()
    if lower.endswith(("s", "x", "ch")):
        return f"{lower}es"
    if lower.endswith("y") and lower[-2] not in "aeiou":
        return f"{lower[:-1]}ies"
    return f"{lower}s"


def _rule(group: str, versions: tuple[str, ...], resources: list[str], scope: str) -> Rule:
    names = {"apiGroups": [group], "apiVersions": list(versions), "resources": resources}
    return {**names, "operations": list(_OPERATIONS), "scope": scope}


def _webhook(
    name: str, policy: str, operator: str, rules: list[Rule], client: Mapping[str, Any], never: Iterable[str]
) -> dict[str, Any]:
    selector: list[dict[str, Any]] = [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [*NEVER_SENT, *never]}]
    if operator:
        selector.append({"key": FAIL_CLOSED, "operator": operator, "values": ["true"]})
    return {
        "name": f"{name}.admission.{_OURS}",
        "admissionReviewVersions": ["v1"],
        "clientConfig": dict(client),
        "failurePolicy": policy,
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchExpressions": selector},
        "rules": rules,
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": TIMEOUT_SECONDS,
    }
