"""The second webhook configuration: the API server asks about kinds that ModelReferenceMappings teach (design/admission.md).

The chart makes it, empty; the operator fills in its webhooks, which are those of the first one with other rules. So everything
else is the chart's word still: whom to ask, whom to believe, what follows when nobody answers. A guard bounds what the operator may
write there (docs/adr/0008).
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from modeltrust.api.webhooks import plural
from modeltrust.domain.errors import ModelTrustError, NotFoundError, quote
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, RefusedError
from modeltrust.kube.workloads import Served, discover_mapped
from modeltrust.references.mappings import EVERY_KIND, Mapped
from modeltrust.store.store import Store

Object = dict[str, Any]
GroupKind = tuple[str, str]

FIRST = "modeltrust"
SECOND = "modeltrust-mapped"
_MANAGER = "modeltrust-interception"
_INFIX = ".mapped.admission."  # open.admission.modeltrust.dev has a sister open.mapped.admission.modeltrust.dev
_NOTHING_YET = "the operator has not looked yet"


class Writes(Protocol):
    """What is asked of the API server; ``operator.writes.Writes`` is one."""

    def get_object(self, path: str) -> Object:
        """One object; NotFoundError where there is none."""
        ...

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str) -> Object:
        """Change some fields, lists as a whole."""
        ...


class Logs(Protocol):
    """Who writes lines."""

    def log(self, event: str, **fields: Any) -> None:
        """One line."""
        ...


class Interception:
    """Keeps the second configuration as the mappings want it. Only the leader calls this."""

    def __init__(self, writes: Writes, api: ApiServer, *, store: Store, logs: Logs) -> None:
        """Begin without asking anybody.

        Args:
            writes: reads and writes the configurations.
            api: says under which names kinds are served.
            store: which mappings there are.
            logs: told of what was written, and of what could not be.
        """
        self._writes = writes
        self._api = api
        self._store = store
        self._logs = logs
        self._covered: frozenset[GroupKind] = frozenset()
        self._unlisted: Mapping[GroupKind, str] = {}
        self._served: dict[str, tuple[Served, ...]] = {}
        self._why = _NOTHING_YET
        self._empty = False
        self._looking = threading.Lock()

    def __call__(self) -> None:
        """Compare, and write where it differs. What cannot be done is said in the status of the mappings, and tried again."""
        with self._looking:
            mapped = self._store.snapshot().mapped
            if not mapped and self._empty:
                return
            try:
                self._covered, self._why = self._look(mapped), ""
                self._empty = not mapped
            except ModelTrustError as error:
                if str(error) != self._why:
                    self._logs.log("interception-failed", why=str(error))
                self._covered, self._why = frozenset(), str(error)

    def missing(self, group: str, kinds: Iterable[str]) -> str:
        """Why the API server does not ask about some of these kinds, as of the last look; empty where it asks about all."""
        lacking = [kind for kind in kinds if (group, kind) not in self._covered]
        if not lacking:
            return ""
        why = self._why or ("" if group in self._served else "it does not say how they are called")
        return f"the API server does not ask about {', '.join(lacking)} of {group} yet" + (f": {why}" if why else "")

    def unlisted(self, group: str, kinds: Iterable[str]) -> tuple[str, ...]:
        """Resources of these kinds that this account may not list, as of the last look: what runs there is in no count."""
        return tuple(self._unlisted[group, kind] for kind in kinds if (group, kind) in self._unlisted)

    def _look(self, mapped: Mapped) -> frozenset[GroupKind]:
        path = paths.group("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", SECOND)
        try:
            second = self._writes.get_object(path)
        except NotFoundError as error:
            if not mapped:
                return frozenset()
            raise NotFoundError(f"there is no ValidatingWebhookConfiguration {SECOND}, which the chart makes") from error
        first = self._first() if mapped else []
        unknown = self._discover(mapped)
        served = [entry for known in self._served.values() for entry in known]
        self._unlisted = {
            (entry.group, entry.kind): f"{entry.plural}.{entry.group}" for entry in served if not self._may_list(entry)
        }
        wanted = _webhooks(first, _rules(mapped, served, first))
        if second.get("webhooks", []) != wanted:
            version = second["metadata"]["resourceVersion"]
            self._writes.merge_patch(path, {"metadata": {"resourceVersion": version}, "webhooks": wanted}, manager=_MANAGER)
            self._logs.log("interception-changed", resources=[name for rule in wanted[:1] for name in _resources(rule)])
        return frozenset(key for key in mapped if key[0] not in unknown)

    def _discover(self, mapped: Mapped) -> set[str]:
        """Look up how kinds are called, group by group: one that does not say keeps its names and holds up no other.

        Returns:
            Groups that never said.
        """
        groups = {group for group, _ in mapped}
        self._served = {group: known for group, known in self._served.items() if group in groups}
        for group in sorted(groups):
            kinds = {key: value for key, value in mapped.items() if key[0] == group}
            try:
                self._served[group] = discover_mapped(self._api, kinds)
            except (
                ModelTrustError,
                KeyError,
                TypeError,
                AttributeError,
            ) as error:  # of another form: who serves a group writes it
                self._logs.log("interception-undiscovered", group=group, why=quote(error, 300))
        return groups - self._served.keys()

    def _may_list(self, served: Served) -> bool:
        try:
            self._api.get(served.path(), {"limit": "1"})
        except RefusedError:
            return False
        except ModelTrustError:
            return True  # nobody says that we may not
        return True

    def _first(self) -> list[Object]:
        path = paths.group("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", FIRST)
        try:
            found: list[Object] = self._writes.get_object(path).get("webhooks") or []
        except NotFoundError as error:
            raise NotFoundError(f"there is no ValidatingWebhookConfiguration {FIRST}: nothing is asked at all") from error
        if not found:
            raise NotFoundError(f"the ValidatingWebhookConfiguration {FIRST} has no webhooks: nothing is asked at all")
        return found


def _webhooks(first: list[Object], rules: list[Object]) -> list[Object]:
    """The first configuration's webhooks, with other names and rules; nothing that the chart or an admin set there is lost."""
    if not rules:
        return []
    found = []
    for webhook in first:
        scope = {rule.get("scope", "*") for rule in webhook.get("rules") or []} or {"*"}
        narrow = "Namespaced" if scope == {"Namespaced"} else "*"
        name = webhook["name"].replace(".admission.", _INFIX, 1)
        found.append({**webhook, "name": name, "rules": [{**rule, "scope": narrow} for rule in rules]})
    return found


def _rules(mapped: Mapped, served: Iterable[Served], first: list[Object]) -> list[Object]:
    """One rule a group, for what the first configuration does not ask about in every version."""
    names: dict[GroupKind, set[str]] = {}
    for entry in served:
        names.setdefault((entry.group, entry.kind), set()).add(entry.plural)
    everywhere = {
        (group, resource)
        for rule in (first[0].get("rules") or [] if first else [])
        if "*" in rule["apiVersions"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    groups: dict[str, set[str]] = {}
    for group, kind in mapped:
        # A kind that is not served yet is asked about under the name that generators give it, from its first object on.
        resources = names.get((group, kind)) or {plural(kind)}
        lacking = {resource for resource in resources if (group, resource) not in everywhere}
        if kind != EVERY_KIND and lacking:
            groups.setdefault(group, set()).update(lacking)
    return [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": sorted(resources)}
        for group, resources in sorted(groups.items())
    ]


def _resources(webhook: Object) -> list[str]:
    return [f"{resource}.{group}" for rule in webhook["rules"] for group in rule["apiGroups"] for resource in rule["resources"]]
