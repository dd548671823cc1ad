"""The light composition root for one look: what decides as of now, read once through the API by whoever asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeltrust.admission.decide import Admission
from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.domain.errors import InvalidInputError, NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, RefusedError
from modeltrust.kube.reflector import RESOURCES
from modeltrust.kube.workloads import Served, discover
from modeltrust.policy.policy import Unmatched
from modeltrust.references.extract import Extractor
from modeltrust.store.enforced import Enforced
from modeltrust.store.sink import KINDS, Kind
from modeltrust.store.store import Store
from modeltrust.wiring.admission import believe, live_admission, new_extractor, new_store, reader

CONFIGURATION = "modeltrust"  # name of our webhook configurations
ATTESTORS_MAP = "modeltrust-attestors"
ATTESTORS_KEY = "attestors.yaml"


@dataclass(frozen=True, slots=True)
class Trusted:
    """What decides, as of one moment.

    Attributes:
        store: what is trusted.
        extractor: reads objects, with the mappings of the store.
        installed: whether our kinds are served.
        attestors: whether anybody's statements are believed.
        problems: what could not be read or used, one sentence each.
    """

    store: Store
    extractor: Extractor
    installed: bool
    attestors: bool
    problems: tuple[str, ...]

    def discover(self, api: ApiServer) -> tuple[Served, ...]:
        """Which kinds that can name models this server serves, those that mappings teach included.

        Raises:
            UnavailableError: the server does not say.
        """
        return discover(api, self.extractor.tables, self.store.snapshot().mapped)

    def admission(self, unmatched: Unmatched = Unmatched.ALLOW) -> Admission:
        """The one decision."""
        return Admission(extractor=self.extractor, store=self.store, unmatched=unmatched)

    def enforced(self) -> Admission:
        """The same as if every policy were enforced now."""
        return Admission(extractor=self.extractor, store=Enforced(self.store))


def trust_of_cluster(api: ApiServer, *, attestors: bytes | None) -> Trusted:
    """What the cluster trusts.

    Args:
        api: the API server, as the caller.
        attestors: the attestor file; None where nobody's statements can be believed.

    Raises:
        UnavailableError: no answer.
        ModelTrustError: the bytes are no attestor file.
    """
    problems: list[str] = []
    extractor = new_extractor()
    store = new_store(lambda kind, name, why: problems.append(f"{kind.value} {name}: {why}"), extractor)
    served = {resource.kind: _fed(api, store, resource.kind, resource.path, problems) for resource in RESOURCES}
    if attestors is not None:
        believe(store, attestors)
    return Trusted(store, reader(extractor, store), served[Kind.POLICIES], attestors is not None, tuple(problems))


def trust_of_folder(api: ApiServer, folder: Path, *, now: int) -> Trusted:
    """What a trust folder says, about the namespaces that the cluster has.

    Raises:
        InvalidInputError: something in it cannot be used; names the file.
    """
    problems: list[str] = []
    live = live_admission(
        folder, unmatched=Unmatched.ALLOW, problem=lambda kind, name, why: problems.append(f"{kind.value} {name}: {why}")
    )
    broken = [f"{problem.file or folder}: {problem.why}" for problem in live.feed.poll(now)] + problems
    if broken:
        raise InvalidInputError(f"the trust folder cannot be used: {broken[0]}")
    for resource in RESOURCES:
        if resource.kind is Kind.NAMESPACES:
            _fed(api, live.store, resource.kind, resource.path, problems)
    return Trusted(live.store, live.extractor, installed=True, attestors=True, problems=tuple(problems))


def replace_policies(store: Store, objects: Iterable[Mapping[str, Any]]) -> int:
    """Judge by these objects of ours instead of the policies in force; returns how many policies they are.

    Raises:
        InvalidInputError: none of them is a policy, or one is of no kind that decides.
    """
    policies = []
    for value in objects:
        kind = KINDS.get((str(value.get("apiVersion")).rpartition("/")[0], str(value.get("kind"))))
        if kind is None:
            raise InvalidInputError(f"got a {value.get('kind')}, expected ModelPolicy objects of {API_VERSION} and what they name")
        if kind is Kind.POLICIES:
            policies.append(value)
        else:
            store.upsert(kind, value)
    if not policies:
        raise InvalidInputError("got no ModelPolicy, expected at least one")
    store.replace(Kind.POLICIES, policies)
    return len(policies)


def release_namespace(api: ApiServer) -> str:
    """Where modeltrust is installed, as its webhook configuration says; empty where that cannot be seen.

    Raises:
        UnavailableError: no answer.
    """
    try:
        path = paths.group("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", CONFIGURATION)
        webhooks = api.get_object(path).get("webhooks") or []
    except (NotFoundError, RefusedError):
        return ""
    names = [(webhook.get("clientConfig") or {}).get("service") or {} for webhook in webhooks]
    return next((str(service["namespace"]) for service in names if service.get("namespace")), "")


def attestors_of_cluster(api: ApiServer, namespace: str) -> bytes | None:
    """The attestor file that the operator publishes; None where there is none or it may not be read.

    Raises:
        UnavailableError: no answer.
    """
    if not namespace:
        return None
    try:
        data = api.get_object(paths.core("configmaps", ATTESTORS_MAP, namespace=namespace)).get("data") or {}
    except (NotFoundError, RefusedError):
        return None
    text = data.get(ATTESTORS_KEY)
    return text.encode() if isinstance(text, str) else None


def _fed(api: ApiServer, store: Store, kind: Kind, path: str, problems: list[str]) -> bool:
    """Read one kind; returns whether it is served."""
    store.replace(kind, ())
    try:
        store.replace(kind, api.list_objects(path))
    except NotFoundError:
        return False
    except RefusedError:
        problems.append(f"{kind.value}: not allowed to list them")
    return True
