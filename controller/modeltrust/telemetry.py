"""Metrics and log lines of one process: one Telemetry object, passed to whoever counts.

Labels are bounded: outcomes, operations, reasons and our own kinds of object come from closed sets; whatever an author chooses
(names, namespaces, other kinds) stands in the log only.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from modeltrust.domain.reasons import Reason

# The API server's first bucket ends at 5 ms; more than 99 % of the calls belong below it (facts/performance.md section 2).
SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OPERATIONS = ("CREATE", "UPDATE", "OTHER")
OUTCOMES = ("admit", "warn", "pending", "error", "deny")
_TRACE_FRAMES = 20  # innermost; a RecursionError has a thousand
_TRACE_CHARACTERS = 8_000
REQUESTS = ("taken", "repeated", "namespace_full", "full", "created", "existing", "mismatched", "failed")
MUTATIONS = ("patched", "unpatched", "unreadable", "failed")
OPERATOR_KINDS = (
    "modelattestations",
    "trustedsigners",
    "modelpolicies",
    "modelsources",
    "modelrevocations",
    "policyexemptions",
    "evaluationsuites",
    "modelreferencemappings",
)
RECONCILE_OUTCOMES = ("attested", "waiting", "refused", "gone", "described", "unavailable", "failed")
OPERATOR_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
MONITOR_LEVELS = ("Quiet", "Degraded", "Alarm")
REFUSALS = ("bad_request", "not_ready", "overloaded", "too_slow")


class Log:
    """The JSON log of one process, and its registry of metrics."""

    def __init__(self, *, sink: Callable[[bytes], object] | None = None) -> None:
        """Begin with an empty registry.

        Args:
            sink: takes one log line, line feed included, from any thread; by default it goes to stderr.
        """
        self.registry = CollectorRegistry()
        self._sink = sink or StandardError()
        self._encoder = msgspec.json.Encoder()
        self.lost = Counter("modeltrust_log_lines_lost", "Log lines that could not be written.", registry=self.registry)
        self.watch_failures = Counter(
            "modeltrust_watch_failures", "Lists and watches that ended badly.", ["kind"], registry=self.registry
        )

    def log(self, event: str, **fields: Any) -> None:
        """One JSON line; control characters are escaped by JSON itself."""
        self.write({"event": event, **fields})

    def write(self, line: Mapping[str, Any] | msgspec.Struct) -> None:
        """One JSON line, as given. What cannot be written never stops an answer."""
        try:
            self._sink(self._encoder.encode(line) + b"\n")
        except (OSError, ValueError):
            self.lost.inc()  # a full disk, a closed pipe, a lone surrogate

    def failed(self, event: str, error: BaseException, **fields: Any) -> None:
        """One JSON line with a traceback, for what must never happen."""
        trace = "".join(traceback.format_exception(error, limit=-_TRACE_FRAMES))[-_TRACE_CHARACTERS:]
        self.write({"event": event, "error": type(error).__name__, "trace": trace, **fields})


class Telemetry(Log):
    """Counters, histograms and the JSON log of one webhook process; label sets are bound once."""

    def __init__(self, *, sink: Callable[[bytes], object] | None = None) -> None:
        """Register everything in a registry of its own.

        Args:
            sink: takes one log line, line feed included, from any thread; by default it goes to stderr.
        """
        super().__init__(sink=sink)
        decisions = Counter(
            "modeltrust_decisions", "Reviews answered with a verdict.", ["operation", "outcome"], registry=self.registry
        )
        seconds = Histogram(
            "modeltrust_decision_seconds",
            "From the first byte read to the answer.",
            ["operation"],
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        reasons = Counter("modeltrust_reasons", "Problems in decisions, advice included.", ["reason"], registry=self.registry)
        refused = Counter("modeltrust_refused", "Calls without a verdict.", ["why"], registry=self.registry)
        self._decisions = {(o, r): decisions.labels(o, r) for o in OPERATIONS for r in OUTCOMES}
        self._seconds = {operation: seconds.labels(operation) for operation in OPERATIONS}
        self._reasons = {reason.value: reasons.labels(reason.value) for reason in Reason}
        self._refused = {why: refused.labels(why) for why in REFUSALS}
        requests = Counter("modeltrust_requests", "Evidence asked for, by what became of it.", ["outcome"], registry=self.registry)
        self._requests = {outcome: requests.labels(outcome) for outcome in REQUESTS}
        self.requests_waiting = Gauge(
            "modeltrust_requests_waiting", "ModelAttestations that are still to be created.", registry=self.registry
        )
        self.wanted = Counter("modeltrust_wanted", "Models asked for that have no statement.", registry=self.registry)
        self.uncovered = Counter(
            "modeltrust_uncovered", "Models that no enforcing policy covers (NoPolicy), whatever follows.", registry=self.registry
        )
        mutations = Counter("modeltrust_mutations", "Pods asked about before they exist.", ["outcome"], registry=self.registry)
        self._mutations = {outcome: mutations.labels(outcome) for outcome in MUTATIONS}
        self.ready = Gauge("modeltrust_ready", "1 while verdicts are given.", registry=self.registry)
        self.statements = Gauge("modeltrust_statements", "Statements in memory.", registry=self.registry)
        self.certificate_loads = Counter("modeltrust_certificate_loads", "Serving certificates loaded.", registry=self.registry)
        self.broken_objects = Gauge(
            "modeltrust_broken_objects", "Objects that do less than was written, or deny.", ["kind"], registry=self.registry
        )
        self.feed_problems = Gauge("modeltrust_feed_problems", "Files that could not be used.", registry=self.registry)

    def decided(self, operation: str, outcome: str, reasons: Iterable[str], seconds: float) -> None:
        """Count one verdict."""
        known = operation if operation in self._seconds else "OTHER"
        self._decisions[known, outcome].inc()
        self._seconds[known].observe(seconds)
        for reason in reasons:
            self._reasons[reason].inc()

    def refused(self, why: str) -> None:
        """Count one call that got no verdict."""
        self._refused[why].inc()

    def mutated(self, outcome: str) -> None:
        """Count one answer of the mutating webhook."""
        self._mutations[outcome].inc()

    def requested(self, outcome: str) -> None:
        """Count one step of asking for evidence."""
        self._requests[outcome].inc()


class OperatorTelemetry(Log):
    """Counters and the JSON log of one operator process."""

    def __init__(self, *, sink: Callable[[bytes], object] | None = None) -> None:
        """Register everything in a registry of its own.

        Args:
            sink: takes one log line, line feed included, from any thread; by default it goes to stderr.
        """
        super().__init__(sink=sink)
        reconciles = Counter(
            "modeltrust_reconciles",
            "Looks at one object, by kind and what became of it.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self._reconciles = {
            (kind, outcome): reconciles.labels(kind, outcome) for kind in OPERATOR_KINDS for outcome in RECONCILE_OUTCOMES
        }
        self.seconds = Histogram(
            "modeltrust_reconcile_seconds", "One look at one object.", buckets=OPERATOR_BUCKETS, registry=self.registry
        )
        self.queue_depth = Gauge("modeltrust_queue_depth", "Objects ready to be looked at, or in hand.", registry=self.registry)
        self.queue_delayed = Gauge("modeltrust_queue_delayed", "Objects that wait for their time.", registry=self.registry)
        self.queue_dropped = Counter("modeltrust_queue_dropped", "Objects that found no room in the queue.", registry=self.registry)
        self.write_budget = Gauge(
            "modeltrust_write_budget", "Writes that could be made at once; below zero some wait.", registry=self.registry
        )
        self.leader = Gauge("modeltrust_leader", "1 while this process leads.", registry=self.registry)
        self.signed = Counter("modeltrust_statements_signed", "Statements written.", registry=self.registry)
        self.keys = Gauge("modeltrust_signing_keys", "Signing keys held: 1, while they change 2 or 3.", registry=self.registry)
        self.key_failures = Counter(
            "modeltrust_signing_key_failures", "Looks at the keys that ended badly.", registry=self.registry
        )

        self.certificate_end = Gauge(
            "modeltrust_certificate_end_seconds", "Unix time at which a certificate ends.", ["secret"], registry=self.registry
        )
        self.configuration_drift = Gauge(
            "modeltrust_webhook_configuration_drift",
            "Ways in which our webhook configurations are not as the chart made them; a break-glass is one.",
            registry=self.registry,
        )

        self._audits = Counter("modeltrust_audit_rounds", "Looks at every workload that came to an end.", registry=self.registry)
        self._drift = Gauge("modeltrust_drift", "Workloads that run and would not be admitted now.", registry=self.registry)
        self._collected = Counter("modeltrust_collected", "Requests that nobody used any more, deleted.", registry=self.registry)

        self._log_e = Gauge(
            "modeltrust_monitor_log_e", "Natural logarithm of the highest e of all servers.", ["stream"], registry=self.registry
        )
        self._levels = Gauge(
            "modeltrust_monitor_servers", "Servers that are watched, by how loud they are.", ["level"], registry=self.registry
        )
        self._servers: dict[str, tuple[tuple[float, float, str], ...]] = {}
        self._watching = threading.Lock()

    def audited(self, _done: object, *, drift: int, collected: int) -> None:
        """Count one round of the audit."""
        self._audits.inc()
        self._drift.set(drift)
        self._collected.inc(collected)

    def monitored(self, suite: str, servers: Iterable[tuple[float, float, str]]) -> None:
        """Keep what is known of the servers of one suite; the gauges show the loudest of all.

        Args:
            suite: name.
            servers: of each the natural logarithms of e, identity and canary, and how loud it is.
        """
        with self._watching:
            self._servers[suite] = tuple(servers)
            found = [values for suite in self._servers.values() for values in suite]
            self._log_e.labels("identity").set(max((values[0] for values in found), default=0.0))
            self._log_e.labels("canary").set(max((values[1] for values in found), default=0.0))
            for name in MONITOR_LEVELS:
                self._levels.labels(name).set(sum(values[2] == name for values in found))

    def reconciled(self, kind: str, outcome: str) -> None:
        """Count one look."""
        self._reconciles[kind, outcome].inc()


class StandardError:
    """Writes whole lines to stderr, from any thread. The logging module costs more than a decision's own work."""

    def __init__(self) -> None:
        self._writing = threading.Lock()

    def __call__(self, line: bytes) -> None:
        """Write one line and flush it."""
        stream = sys.stderr.buffer
        with self._writing:
            stream.write(line)
            stream.flush()
