"""What our service accounts hold beyond what the chart gives them: by another binding, or by a rule that no role of ours has."""

from collections.abc import Iterator, Mapping
from typing import Any

from modeltrust.domain.errors import NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer

COMPONENTS = ("webhook", "operator", "worker")
_RBAC = "rbac.authorization.k8s.io/v1"
_MAPPED = "modeltrust-operator-mapped"  # the operator's, too: Kubernetes fills it from roles with our label, which admins write
_READS = frozenset({"get", "list", "watch"})
_GROUPS = frozenset({"system:serviceaccounts", "system:authenticated"})
_EVERYBODYS = frozenset(  # what Kubernetes gives these groups
    f"system:{name}" for name in ("service-account-issuer-discovery", "basic-user", "discovery", "public-info-viewer")
)


def more_than_the_chart_gives(api: ApiServer, namespace: str) -> list[str]:
    """What was added, each in words; empty where nothing was.

    Args:
        api: the API server.
        namespace: of the release.

    Raises:
        ModelTrustError: roles and bindings cannot be read.
    """
    return [*_bound(api, namespace), *_granted(api)]


def _bound(api: ApiServer, namespace: str) -> Iterator[str]:
    for plural in ("clusterrolebindings", "rolebindings"):
        for binding in api.list_objects(paths.group(_RBAC, plural)):
            role = binding["roleRef"]["name"]
            holders = {holder for subject in binding.get("subjects") or [] for holder in _holders(subject, namespace)}
            if holders - _owners(role) and role not in _EVERYBODYS:
                yield f"{binding['metadata']['name']} gives {', '.join(sorted(holders))} {role}"


def _owners(role: str) -> set[str]:
    return {"modeltrust-operator"} if role == _MAPPED else {role}


def _granted(api: ApiServer) -> Iterator[str]:
    for name in (*(f"modeltrust-{component}" for component in COMPONENTS), _MAPPED):
        try:
            role = api.get_object(paths.group(_RBAC, "clusterroles", name))
        except NotFoundError:
            continue
        yield from (f"{name}: {said}" for said in _wide(role))
        if name == _MAPPED and any(not _READS.issuperset(rule.get("verbs") or []) for rule in role.get("rules") or []):
            yield f"{name}: more than reading"


def _holders(subject: Mapping[str, Any], namespace: str) -> set[str]:
    """Which accounts of ours a subject of a binding means: by name, as a user, or as one of a group."""
    ours, name = {f"modeltrust-{component}" for component in COMPONENTS}, str(subject.get("name", ""))
    match subject.get("kind"):
        case "ServiceAccount" if subject.get("namespace") == namespace:
            return ours & {name}
        case "User":
            return {account for account in ours if name == f"system:serviceaccount:{namespace}:{account}"}
        case "Group" if name in {*_GROUPS, f"system:serviceaccounts:{namespace}"}:
            return ours
    return set()


def _wide(role: Mapping[str, Any]) -> list[str]:
    """What no ClusterRole of ours may hold."""
    found = []
    for rule in role.get("rules") or []:
        groups, resources, verbs = (rule.get(key) or [] for key in ("apiGroups", "resources", "verbs"))
        if "*" in verbs or "*" in groups or ("*" in resources and groups != ["modeltrust.dev"]):
            found.append("a wildcard")
        if "" in groups and {"secrets", "pods/exec", "serviceaccounts/token"} & set(resources):
            found.append("Secrets, exec or tokens in every namespace")
        if "impersonate" in verbs or "escalate" in verbs or "bind" in verbs:
            found.append("impersonate, escalate or bind")
        if {"pods", "deployments"} & set(resources) and {"create", "update", "patch", "delete"} & set(verbs):
            found.append("writing workloads")
    return list(dict.fromkeys(found))
