"""Runs a runner as a Job of the jobs namespace, with engines beside it where it needs some. Every step may have been done before.

The runner's Job comes first, suspended, so that everything else can belong to it: engines, Services, Secrets. It is released when
the engines are ready. What it says is the last line of the log of the one Pod that the Job controller made for it (attack C6).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from modeltrust.api import work
from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.domain.evaluation import Dialect, Served, commitment
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Order, Running, SourceAccess
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError, Object
from modeltrust.kube.jobs import ended, log_of, runs
from modeltrust.operator import evaluation_pods as pods
from modeltrust.operator.writes import Writes

DIALECTS = {"VLLM": Dialect.VLLM, "LlamaCpp": Dialect.LLAMA_CPP}
CANDIDATE, BASELINE = "candidate", "baseline"
NAME_CHARACTERS = 32


class Models(Protocol):
    """What is known about models that are to be served; ``evaluation_models.EvaluatedModels`` is the real one."""

    def access(self, model: Identity) -> SourceAccess:
        """How one may be read; raises ModelTrustError where no ModelSource covers it."""
        ...

    def statement(self, model: Identity) -> Statement | None:
        """The current one; None where it is not attested."""
        ...

    def prompts(self, secret: str) -> bytes:
        """The operator's prompts of a Secret."""
        ...


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run.

    Attributes:
        runner: the runner's Job, suspended, named after the run's commitment; its container has the name of what it does.
        settings: of the suite: how models are served, and where.
        content: content digest of the candidate, ``sha256:…``.
        files: beside the runner, once all parts are served; where each of them answers comes in.
        parts: models that are served meanwhile, by ``candidate`` and ``baseline``.
    """

    runner: Object
    settings: SuiteSettings
    content: str
    files: Callable[[Mapping[str, Served]], Mapping[str, bytes]]
    parts: Mapping[str, Identity] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the Job."""
        return str(self.runner["metadata"]["name"])

    @property
    def spec(self) -> Object:
        """Of its Pod."""
        found: Object = self.runner["spec"]["template"]["spec"]
        return found


class JobRuns:
    """Safe to call from several threads for different runs."""

    def __init__(self, api: Writes, models: Models, *, namespace: str, image: str, now: Callable[[], float] = time.time) -> None:
        """Begin without contacting anybody.

        Args:
            api: of the cluster.
            models: what is served.
            namespace: of the Jobs, which nobody else may write to.
            image: ours, by digest.
            now: unix seconds.
        """
        self._api = api
        self._models = models
        self._namespace = namespace
        self._image = image
        self._now = now

    def line(self, run: JobRun, *, at_once: int) -> bytes | Running:
        """The last line that the runner printed; asking again starts nothing twice.

        Args:
            run: what is run.
            at_once: runs of its kind that may be under way.

        Raises:
            MalformedError: the run ended without one.
            LimitExceededError: as many run already as may.
            UnavailableError: it cannot be said now; ask again.
        """
        try:
            job = self._api.get_object(self._jobs(run.name))
        except NotFoundError:
            job = self._begin(run, at_once)
        self._check(job, run)
        where = Running(f"in the Job {self._namespace}/{run.name}")
        if (job.get("spec") or {}).get("suspend"):
            self._serve(job, run)
            return where
        end = ended(job)
        if end is None:
            self._check_engines(job, run)
            return where
        self._stop_engines(job, run)
        if not end.good:
            raise MalformedError(f"the runner's Job failed: {quote(end.reason)}{self._why(job)}")
        return self._last_line(job, run)

    def _begin(self, run: JobRun, at_once: int) -> Object:
        kind = run.runner["metadata"]["labels"][pods.JOB]
        under_way = [
            job for job in self._api.list_objects(self._jobs(), {"labelSelector": f"{pods.JOB}={kind}"}) if ended(job) is None
        ]
        for job in under_way if len(under_way) >= at_once else ():
            if self._abandoned(job):
                self._api.delete(self._jobs(job["metadata"]["name"]), uid=job["metadata"]["uid"])
        if len(under_way) >= at_once:
            raise LimitExceededError(f"{at_once} runs of the kind {kind} are under way, expected fewer")
        made = self._api.create_object(self._jobs(), run.runner)
        return self._api.get_object(self._jobs(run.name)) if made is None else made

    def _check(self, job: Object, run: JobRun) -> None:
        """Names of runs are public before their Jobs are: one that runs something else is somebody else's (attacks C6, M4)."""
        found = ((job.get("spec") or {}).get("template") or {}).get("spec")
        if not runs(found, run.spec):
            self._api.delete(self._jobs(run.name), uid=job["metadata"]["uid"])
            raise UnavailableError(f"got a Job {quote(run.name)} that is not the one that is made for this run; it is removed")

    def _abandoned(self, job: Object) -> bool:
        """Whether a run has waited for engines longer than they may live: nobody asks for it any more, and it has no deadline."""
        longest = limits.EVALUATION_SECONDS + limits.EVALUATION_START_SECONDS
        created = _seconds(job["metadata"].get("creationTimestamp"))
        return bool((job.get("spec") or {}).get("suspend")) and self._now() > created + longest

    def _serve(self, job: Object, run: JobRun) -> None:
        """Engines and Services, then, once all models answer, the order; then the runner may run."""
        served = {part: self._engine(job, part, run) for part in run.parts}
        ready = {part: one for part, one in served.items() if one is not None}
        if len(ready) < len(served):
            return
        self._make("secrets", pods.secret(job, run.name, run.files(ready)), job)
        patch = {"metadata": {"resourceVersion": job["metadata"]["resourceVersion"]}, "spec": {"suspend": False}}
        try:
            self._api.merge_patch(self._jobs(run.name), patch)
        except ConflictError:
            return  # somebody else did; the next look tells

    def _engine(self, job: Object, part: str, run: JobRun) -> Served | None:
        """One engine with all it needs; None while it is not ready."""
        name, model, settings = f"{run.name}-{part}", run.parts[part], run.settings
        digest, file = self._content(part, run)
        source = self._models.access(model)
        order = Order(model, commitment(name)[:NAME_CHARACTERS], (), (), read_bytes=False, now=0, source=source)
        self._make("secrets", pods.secret(job, name, {"order.json": work.encode_order(order)}), job)
        found = self._make("services", pods.service(job, name), job)
        value = pods.engine(job, name, settings=settings, image=self._image, digest=digest, file=file, max_bytes=source.max_bytes)
        engine = self._make("jobs", value, job)
        if ended(engine) is not None:
            raise self._given_up(job, run, f"the engine of the {part} ended before it was asked{self._why(engine)}")
        address = (found.get("spec") or {}).get("clusterIP")
        if not self._ready(engine) or not address:
            if self._now() > _started(engine) + limits.EVALUATION_START_SECONDS:
                seconds = limits.EVALUATION_START_SECONDS
                raise self._given_up(job, run, f"the engine of the {part} was not ready in {seconds} s{self._why(engine)}")
            return None
        host = f"[{address}]" if ":" in address else address
        return Served(
            f"http://{host}:{pods.PORT}",
            pods.MODEL,
            DIALECTS[settings.engine],
            user_prefix=settings.user_prefix,
            turn_end=settings.turn_end,
        )

    def _content(self, part: str, run: JobRun) -> tuple[str, str]:
        """The content digest, and the file that the engine is pointed at."""
        model = run.parts[part]
        statement = self._models.statement(model)
        if statement is None or not isinstance(statement.content, Known):
            raise UnavailableError(f"the {part} {quote(model)} is not attested yet; what is served is compared with its content")
        digest = str(statement.content.value)
        if part == CANDIDATE and digest != run.content:
            raise UnavailableError("the statement about the candidate changed meanwhile")
        if run.settings.engine != "LlamaCpp" or not isinstance(statement.formats, Known):
            return digest, ""
        return digest, next((f.example for f in statement.formats.value.formats if f.name == "GGUF"), "")

    def _make(self, plural: str, value: Object, owner: Object) -> Object:
        """An object that belongs to this run; another one under its name is somebody else's, and is removed."""
        name = value["metadata"]["name"]
        path = self._path(plural)
        made = self._api.create_object(path, value)
        found = self._api.get_object(self._path(plural, name)) if made is None else made
        if [one.get("uid") for one in found["metadata"].get("ownerReferences") or []] != [owner["metadata"]["uid"]]:
            self._api.delete(self._path(plural, name), uid=found["metadata"]["uid"])
            raise UnavailableError(f"got {plural} {quote(name)} of another run; it is removed")
        return found

    def _ready(self, engine: Object) -> bool:
        return any(_condition(pod, "Ready") for pod in self._pods(engine))

    def _check_engines(self, job: Object, run: JobRun) -> None:
        for part in run.parts:
            try:
                engine = self._api.get_object(self._jobs(f"{run.name}-{part}"))
            except NotFoundError as error:
                raise MalformedError(f"the engine of the {part} is gone while it is asked") from error
            if ended(engine) is not None:
                raise self._given_up(job, run, f"the engine of the {part} ended while it was asked{self._why(engine)}")

    def _given_up(self, job: Object, run: JobRun, why: str) -> MalformedError:
        """A run without an engine shows nothing: nothing of it stays, least of all a suspended Job in the place of another run."""
        self._stop_engines(job, run)
        self._api.delete(self._jobs(job["metadata"]["name"]), uid=job["metadata"]["uid"])
        return MalformedError(why)

    def _stop_engines(self, job: Object, run: JobRun) -> None:
        """A GPU is dear: engines do not wait for the runner's Job to be collected."""
        for part in run.parts:
            try:
                self._api.delete(self._jobs(f"{job['metadata']['name']}-{part}"))
            except NotFoundError:
                continue

    def _last_line(self, job: Object, run: JobRun) -> bytes:
        try:
            container = run.spec["containers"][0]["name"]
            bound = limits.EVALUATION_LOG_BYTES
            log = log_of(self._api, job, spec=run.spec, namespace=self._namespace, container=container, max_bytes=bound)
        except (NotFoundError, LimitExceededError) as error:
            raise MalformedError(f"the runner left no report: {error}") from error
        return log.rstrip(b"\n").rpartition(b"\n")[2]

    def _why(self, job: Object) -> str:
        """What Kubernetes says of the Pods of a Job that ended badly, for people."""
        found = []
        for pod in self._pods(job):
            status = pod.get("status") or {}
            for entry in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
                state = entry.get("state") or {}
                told = state.get("terminated") or state.get("waiting") or {}
                if told.get("reason") not in (None, "Completed", "PodInitializing", "ContainerCreating"):
                    code = f" with exit code {told['exitCode']}" if "exitCode" in told else ""
                    found.append(f"{quote(entry.get('name'))}: {quote(told['reason'])}{code}")
        return f" ({', '.join(found[: limits.NAMES_IN_MESSAGE])})" if found else ""

    def _pods(self, job: Object) -> list[Object]:
        selector = {"labelSelector": f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"}
        return list(self._api.list_objects(paths.core("pods", namespace=self._namespace), selector))

    def _jobs(self, name: str = "") -> str:
        return self._path("jobs", name)

    def _path(self, plural: str, name: str = "") -> str:
        if plural == "jobs":
            return paths.group("batch/v1", plural, name, namespace=self._namespace)
        return paths.core(plural, name, namespace=self._namespace)


def _started(engine: Object) -> float:
    """Unix seconds; what waits in a queue has not started."""
    return _seconds((engine.get("status") or {}).get("startTime"))


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return math.inf


def _condition(pod: Object, name: str) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == name and entry.get("status") == "True" for entry in conditions)
