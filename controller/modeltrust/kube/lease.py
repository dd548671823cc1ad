"""Who leads: one Lease, held by one process at a time.

As Kubernetes' own controllers do it (client-go leaderelection, 15/10/2 s), with what the Python client misses: time is measured
here, from when a renewal was *seen*, and never compared with another machine's clock (fault F86); the Lease is given back at the
end; and whoever loses it must end, since a thread cannot be stopped within a write (F84).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, ModelTrustError, NotFoundError, UnavailableError, quote
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, ConflictError, Object

_GROUP = "coordination.k8s.io/v1"


class Lease:
    """One candidate for one Lease. ``attempt`` is called by one thread; ``leading`` by any."""

    def __init__(  # noqa: PLR0913 - what time is, who it is and whose
        self,
        *,
        api: ApiServer,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        owner: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        """Begin as nobody.

        Args:
            api: with a time-out below ``limits.LEASE_RENEW_SECONDS``.
            namespace: of the Lease.
            name: of the Lease.
            identity: of this process; two processes never share one.
            clock: seconds that pass while the machine sleeps, too, and that nobody sets.
            wall: unix seconds, written down for people and never compared.
            owner: an ownerReference for the Lease, asked for when it is made; may raise ModelTrustError.
        """
        self._api = api
        self._collection = paths.group(_GROUP, "leases", namespace=namespace)
        self._path = paths.group(_GROUP, "leases", name, namespace=namespace)
        self._name = name
        self._identity = identity
        self._clock = clock
        self._wall = wall
        self._owner = owner
        self._seen: Any = None
        self._seen_at = 0.0
        self._until = float("-inf")

    @property
    def identity(self) -> str:
        """Of this process."""
        return self._identity

    def leading(self) -> bool:
        """Whether this process may act now: it renewed the Lease so recently that nobody else can hold it."""
        return self._clock() < self._until

    def attempt(self) -> bool:
        """Take, renew or watch the Lease, once; returns whether we hold it.

        Raises:
            ModelTrustError: it could not be seen or written; ``leading`` goes on until its time is over.
        """
        started = self._clock()
        try:
            lease = self._api.get_object(self._path)
        except NotFoundError:
            return self._create(started)
        spec = _spec(lease)
        if spec != self._seen:
            self._seen, self._seen_at = spec, self._clock()
        if spec.get("holderIdentity") not in ("", None, self._identity) and not self._expired(spec):
            self._until = float("-inf")
            return False
        return self._take(lease, spec, started)

    def release(self) -> None:
        """Give it back, so that the next one need not wait; what goes wrong does not matter any more."""
        if not self.leading():
            return
        self._until = float("-inf")
        try:
            lease = self._api.get_object(self._path)
            if _spec(lease).get("holderIdentity") == self._identity:
                spec = {**_spec(lease), "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}
                self._api.replace(self._path, {**lease, "spec": spec})
        except ModelTrustError:
            return

    def _create(self, started: float) -> bool:
        owner = self._owner()
        body = {
            "apiVersion": _GROUP,
            "kind": "Lease",
            "metadata": {"name": self._name, "ownerReferences": [] if owner is None else [dict(owner)]},
            "spec": self._held(acquired=self._time(), transitions=0),
        }
        made = self._api.create_object(self._collection, body)
        return made is not None and self._won(made, started)

    def _take(self, lease: Object, spec: Object, started: float) -> bool:
        ours = spec.get("holderIdentity") == self._identity
        transitions = spec.get("leaseTransitions") or 0
        acquired = spec.get("acquireTime") if ours else self._time()
        held = self._held(acquired=acquired, transitions=transitions if ours else transitions + 1)
        try:
            made = self._api.replace(self._path, {**lease, "spec": held})
        except ConflictError:
            return False  # somebody was faster; what they wrote is seen at the next attempt
        return self._won(made, started)

    def _won(self, lease: Object, started: float) -> bool:
        self._seen, self._seen_at = _spec(lease), self._clock()
        # From before the request: others count from when they see it, which is later.
        self._until = started + limits.LEASE_RENEW_SECONDS
        return True

    def _held(self, *, acquired: Any, transitions: int) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": limits.LEASE_SECONDS,
            "acquireTime": acquired,
            "renewTime": self._time(),
            "leaseTransitions": transitions,
        }

    def _expired(self, spec: Object) -> bool:
        stated = spec.get("leaseDurationSeconds")
        seconds = stated if isinstance(stated, int) and stated > 0 else limits.LEASE_SECONDS
        return self._clock() >= self._seen_at + seconds

    def _time(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _spec(lease: Object) -> Object:
    spec = lease.get("spec") or {}
    if not isinstance(spec, dict):
        raise MalformedError(f"got a Lease with spec {quote(type(spec).__name__)}")
    return spec


def keep(
    lease: Lease,
    *,
    stopping: Callable[[float], bool],
    won: Callable[[], None],
    lost: Callable[[str], None],
    told: Callable[[Exception], None],
    uniform: Callable[[float, float], float],
) -> None:
    """Try for the Lease until stopped.

    Args:
        lease: which one.
        stopping: waits that many seconds; returns True when it is time to end.
        won: called once, when this process begins to lead; must return soon.
        lost: called when it led and does no more; does not return in a real process.
        told: of every attempt that failed.
        uniform: a random number between two, so that candidates do not try together.
    """
    led = False
    while True:
        try:
            held = lease.attempt()
            if held and not led:
                led = True
                won()
        except (ModelTrustError, OSError) as error:
            told(error if isinstance(error, ModelTrustError) else UnavailableError(type(error).__name__))
        if led and not lease.leading():
            lost("the Lease was not renewed in time, or somebody else holds it")
            return
        if stopping(limits.LEASE_RETRY_SECONDS * uniform(0.9, 1.1)):
            return
