"""How the parts of one operator are joined."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from modeltrust import __version__
from modeltrust.config import OperatorSettings
from modeltrust.kube import paths
from modeltrust.kube.access import Access
from modeltrust.kube.client import ApiServer
from modeltrust.kube.events import Events
from modeltrust.operator.alarms import Alarms, logarithms
from modeltrust.operator.attestations import PLURAL, Attestations, Attests, Result
from modeltrust.operator.audit import Audit
from modeltrust.operator.audited import Reporting
from modeltrust.operator.certificate_round import CertificateRound
from modeltrust.operator.declarations import Declarations
from modeltrust.operator.evaluation_jobs import JobEvaluator
from modeltrust.operator.evaluation_models import EvaluatedModels
from modeltrust.operator.evaluation_reports import Reports
from modeltrust.operator.evaluations import Evaluations
from modeltrust.operator.fingerprints import Fingerprints
from modeltrust.operator.index import Index
from modeltrust.operator.interception import Interception
from modeltrust.operator.jobs import JobWorker
from modeltrust.operator.keys import Keys, Places
from modeltrust.operator.leading import Changes, Leading, relist
from modeltrust.operator.monitor_jobs import JobProbes
from modeltrust.operator.monitoring import Monitored, Monitoring
from modeltrust.operator.queue import Key, Queue
from modeltrust.operator.reconciling import Look, Reconciling
from modeltrust.operator.sources import Sources
from modeltrust.operator.state import ClusterState
from modeltrust.operator.suites import PLURAL as SUITES
from modeltrust.operator.suites import Asking, Suites
from modeltrust.operator.watches import Watches
from modeltrust.operator.watching import Watching
from modeltrust.operator.worker import HttpWorker, Workers
from modeltrust.operator.writes import Budget, Writes
from modeltrust.references.extract import Extractor
from modeltrust.store.sink import Kind
from modeltrust.telemetry import OperatorTelemetry
from modeltrust.verification.attest import nonce
from modeltrust.verification.attesting import Attesting
from modeltrust.wiring.admission import new_extractor, reader
from modeltrust.wiring.operator import Mirror

_NEVER = frozenset({"kube-system", "kube-node-lease", "kube-public"})  # where the webhook is never asked (design/admission.md)


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a process starts.

    Attributes:
        mirror: in every replica.
        leading: in the holder of the Lease.
    """

    mirror: Mirror
    leading: Leading


@dataclass(frozen=True, slots=True)
class _Parts:
    """What several rounds and looks share."""

    settings: OperatorSettings
    api: ApiServer
    writes: Writes
    budget: Budget
    queue: Queue
    changes: Changes
    keys: Keys
    mirror: Mirror
    sources: Sources
    events: Events
    telemetry: OperatorTelemetry
    extractor: Extractor
    interception: Interception


def assemble(  # noqa: PLR0913 - the composition root
    settings: OperatorSettings,
    *,
    access: Access,
    audience: str,
    telemetry: OperatorTelemetry,
    leading: Callable[[], bool],
    stopping: Callable[[float], bool],
    died: Callable[[str], None],
    failed: Callable[[StrEnum, Exception], None],
    unusable: Callable[[Kind, str, str], None],
) -> Assembly:
    """Join the parts of one operator; contacts nobody.

    Args:
        settings: of the process.
        access: to the API server.
        audience: of the statements.
        telemetry: counts and logs.
        leading: whether this process may write now.
        stopping: waits so many seconds; True when the process ends.
        died: told why, if kopf ends by itself.
        failed: told of every list or watch that ended badly.
        unusable: told of every object that cannot be used.
    """
    api = ApiServer(access)
    queue = Queue(clock=monotonic, uniform=random.uniform)
    changes = Changes(queue, Index())
    budget = Budget(settings.writes_per_second, clock=monotonic, wait=stopping)
    writes = Writes(api, budget=budget, leading=leading)
    sources = Sources(changes.models)
    extractor = new_extractor()
    mirror = Mirror(access, sources=sources, changed=changes.mirrored, extractor=extractor, unusable=unusable, failed=failed)
    keys = Keys(
        writes,
        places=Places(settings.namespace, settings.key_secret, settings.attestors_config_map),
        audience=audience,
        now=_now,
        believe=mirror.believe,
    )
    events = Events(writes, component="operator", instance=settings.identity, clock=time.time)
    interception = Interception(writes, api, store=mirror.store, logs=telemetry)
    parts = _Parts(settings, api, writes, budget, queue, changes, keys, mirror, sources, events, telemetry, extractor, interception)
    kinds = _kinds(parts, _attesting(parts, audience))
    reconciling = Reconciling(queue, kinds=kinds, telemetry=telemetry, now=_now, after=_after(parts))
    watching = Watching(access, plurals=tuple(kinds), changed=changes.watched, died=died)
    rounds: dict[str, Callable[[], object]] = {
        "keys": _keys_round(parts),
        "queue": _queue_round(parts, tuple(kinds)),
        "interception": interception,
    }
    if settings.rotate_certificates:
        look = CertificateRound(writes, settings.namespace, telemetry=telemetry, events=events, now=_now)
        rounds = {"certificates": look} | rounds
    return Assembly(
        mirror, Leading(unready=mirror.unready, rounds=rounds, parts=(reconciling, watching, _audit(parts)), telemetry=telemetry)
    )


def _audit(parts: _Parts) -> Audit:
    store, settings = parts.mirror.store, parts.settings
    return Audit(
        parts.api,
        store=store,
        extractor=reader(parts.extractor, store),
        tables=parts.extractor.tables,
        tells=Reporting(parts.writes, store=store, events=parts.events, measures=parts.telemetry),
        clock=time.time,
        monotonic=monotonic,
        never=_NEVER | {settings.namespace, settings.jobs_namespace},
    )


def _attesting(parts: _Parts, audience: str) -> Attests:
    settings = parts.settings
    worker = HttpWorker(settings.worker, ca=settings.worker_ca, certificate=settings.worker_cert, key=settings.worker_key)
    jobs = JobWorker(parts.writes, namespace=settings.jobs_namespace, image=settings.job_image) if settings.job_image else None
    # The worker is of the same image, so its tables and rules are those of this version. The public good trust root is left out: it
    # changes by itself, and each refresh would ask every hub about every model at once (docs/signing.md).
    return Attesting(worker=Workers(worker, jobs), keys=parts.keys.held, audience=audience, versions=lambda: (__version__,))


def _models(parts: _Parts) -> EvaluatedModels:
    return EvaluatedModels(
        parts.writes, namespace=parts.settings.namespace, sources=parts.sources, store=parts.mirror.store, now=_now
    )


def _suites(parts: _Parts) -> Suites:
    return Suites(parts.writes, events=parts.events, asking=_asking(parts), gauges=_gauges(parts.telemetry))


def _asking(parts: _Parts) -> Asking | None:
    """Without an image for Jobs no server is watched."""
    settings, writes, models = parts.settings, parts.writes, _models(parts)
    if not settings.job_image:
        return None
    kept = Fingerprints(writes, namespace=settings.jobs_namespace)
    probes = JobProbes(writes, models, kept, namespace=settings.jobs_namespace, image=settings.job_image)
    alarms = Alarms(
        writes,
        about=lambda name: writes.get_object(paths.ours(SUITES, name)),
        events=parts.events,
        measures=parts.telemetry,
    )
    monitoring = Monitoring(probes, nonce=lambda text: nonce(parts.keys.held()[0], text), tells=alarms)
    return Asking(monitoring, Watches(models, kept, namespaces=settings.monitored), kept.forget)


def _gauges(telemetry: OperatorTelemetry) -> Callable[[str, Iterable[Monitored]], None]:
    def show(suite: str, watches: Iterable[Monitored]) -> None:
        telemetry.monitored(suite, ((*logarithms(one.watch), one.watch.level.value) for one in watches))

    return show


def _evaluations(parts: _Parts) -> Evaluations | None:
    """Without an image for Jobs nothing is evaluated, and what a policy asks for stays missing."""
    settings = parts.settings
    if not settings.job_image:
        return None
    models = _models(parts)
    evaluator = JobEvaluator(parts.writes, models, namespace=settings.jobs_namespace, image=settings.job_image)
    reports = Reports(parts.writes, namespace=settings.jobs_namespace, logs=parts.telemetry)
    return Evaluations(
        evaluator,
        suites=models.suite,
        bank=models.bank,
        nonce=lambda text: nonce(parts.keys.held()[0], text),
        publish=reports.publish,
    )


def _kinds(parts: _Parts, attesting: Attests) -> dict[str, Look]:
    declarations = Declarations(
        parts.writes,
        namespace=parts.settings.namespace,
        events=parts.events,
        extractor=parts.extractor,
        intercepts=parts.interception,
        signed_by=parts.changes.signed_by,
    )
    evaluations = _evaluations(parts)
    state = ClusterState(parts.mirror.store, parts.keys, *(() if evaluations is None else (evaluations.of,)))
    attestations = Attestations(
        parts.writes,
        namespace=parts.settings.namespace,
        sources=parts.sources,
        attesting=attesting,
        state=state,
        events=parts.events,
        evaluates=evaluations,
    )

    def declared(plural: str) -> Look:
        return lambda name, now: declarations.reconcile(plural, name, now)

    return {PLURAL: attestations.reconcile, SUITES: _suites(parts).reconcile} | {
        plural: declared(plural) for plural in declarations.plurals
    }


def _after(parts: _Parts) -> Callable[[Key, Result], None]:
    def after(key: Key, result: Result) -> None:
        parts.changes.looked(key, result)
        if result.signed:
            parts.telemetry.signed.inc()

    return after


def _keys_round(parts: _Parts) -> Callable[[], None]:
    def look() -> None:
        try:
            if parts.keys.refresh():
                parts.changes.all()  # what a key signed that we no longer hold is verified and signed again
        except Exception:
            parts.telemetry.key_failures.inc()
            raise
        parts.telemetry.keys.set(len(parts.keys.held()))

    return look


def _queue_round(parts: _Parts, plurals: tuple[str, ...]) -> Callable[[], None]:
    def look() -> None:
        parts.telemetry.queue_depth.set(len(parts.queue))
        parts.telemetry.queue_delayed.set(parts.queue.delayed)
        parts.telemetry.write_budget.set(parts.budget.tokens)
        dropped = parts.queue.overflowed()
        if dropped:
            parts.telemetry.queue_dropped.inc(dropped)
            relist(parts.api, parts.queue, plurals)

    return look


def _now() -> int:
    return int(time.time())
