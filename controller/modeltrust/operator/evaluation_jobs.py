"""Runs evaluations as Jobs of the jobs namespace; implements ``evaluations.Evaluator``. Every step may have been done before.

The runner's Job comes first, suspended, so that everything else can belong to it: engines, Services, Secrets. It is released when
the engines are ready. Its report is the last line of the log of the one Pod that the Job controller made for it (attack C6), and is
compared with the plan that follows from the nonce. The name follows from the commitment, which is public; the nonce is not.
"""

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from modeltrust.api import work
from modeltrust.api.evaluation_work import decode_evaluation_report, encode_evaluation_order
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.domain.evaluation import Dialect, EvaluationOrder, EvaluationReport, Served, commitment
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Order, Running, SourceAccess
from modeltrust.evaluation import binding
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError, Object
from modeltrust.kube.jobs import ended, log_of, runs
from modeltrust.operator import evaluation_pods as pods
from modeltrust.operator.evaluations import Examination
from modeltrust.operator.writes import Writes

_DIALECTS = {"VLLM": Dialect.VLLM, "LlamaCpp": Dialect.LLAMA_CPP}
_NAME_CHARACTERS = 32


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


class JobEvaluator:
    """Safe to call from several threads for different models."""

    def __init__(
        self,
        api: Writes,
        models: Models,
        *,
        namespace: str,
        image: str,
        at_once: int = limits.EVALUATIONS_AT_ONCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin without contacting anybody.

        Args:
            api: of the cluster.
            models: what is served.
            namespace: of the Jobs, which nobody else may write to.
            image: ours, by digest.
            at_once: runs that have not ended.
            now: unix seconds.
        """
        self._api = api
        self._models = models
        self._namespace = namespace
        self._image = image
        self._at_once = at_once
        self._now = now

    def evaluate(self, examination: Examination) -> EvaluationReport | Running:
        """See ``Evaluator.evaluate``."""
        name = f"evaluate-{commitment(examination.nonce)[:_NAME_CHARACTERS]}"
        try:
            job = self._api.get_object(self._jobs(name))
        except NotFoundError:
            job = self._begin(name, examination)
        self._check(job, examination)
        where = Running(f"in the Job {self._namespace}/{name}")
        if (job.get("spec") or {}).get("suspend"):
            self._serve(job, examination)
            return where
        end = ended(job)
        if end is None:
            self._check_engines(job, examination)
            return where
        self._stop_engines(job, examination)
        if not end.good:
            raise MalformedError(f"the runner's Job failed: {quote(end.reason)}{self._why(job)}")
        return self._report(job, examination)

    def _begin(self, name: str, examination: Examination) -> Object:
        selector = {"labelSelector": f"modeltrust.dev/job={pods.RUNNER}"}
        under_way = [job for job in self._api.list_objects(self._jobs(), selector) if ended(job) is None]
        for job in under_way if len(under_way) >= self._at_once else ():
            if self._abandoned(job):
                self._api.delete(self._jobs(job["metadata"]["name"]), uid=job["metadata"]["uid"])
        if len(under_way) >= self._at_once:
            raise LimitExceededError(f"{self._at_once} evaluations are under way, expected fewer")
        made = self._api.create_object(self._jobs(), self._runner(name, examination))
        return self._api.get_object(self._jobs(name)) if made is None else made

    def _runner(self, name: str, examination: Examination) -> Object:
        private = bool(examination.suite.prompts)
        return pods.runner(name, image=self._image, deadline_seconds=limits.EVALUATION_RUN_SECONDS, private=private)

    def _check(self, job: Object, examination: Examination) -> None:
        """Names of runs are public before their Jobs are: one that runs something else is somebody else's (attacks C6, M4)."""
        wanted = self._runner(job["metadata"]["name"], examination)["spec"]["template"]["spec"]
        found = ((job.get("spec") or {}).get("template") or {}).get("spec")
        if not runs(found, wanted):
            self._api.delete(self._jobs(job["metadata"]["name"]), uid=job["metadata"]["uid"])
            name = quote(job["metadata"]["name"])
            raise UnavailableError(f"got a Job {name} that is not the one that is made for this run; it is removed")

    def _abandoned(self, job: Object) -> bool:
        """Whether a run has waited for engines longer than they may live: nobody asks for it any more, and it has no deadline."""
        longest = limits.EVALUATION_SECONDS + limits.EVALUATION_START_SECONDS
        created = _seconds(job["metadata"].get("creationTimestamp"))
        return bool((job.get("spec") or {}).get("suspend")) and self._now() > created + longest

    def _serve(self, job: Object, examination: Examination) -> None:
        """Engines and Services, then, once both models answer, the order; then the runner may run."""
        served = {part: self._engine(job, part, model, examination) for part, model in _parts(examination).items()}
        ready = {part: one for part, one in served.items() if one is not None}
        if len(ready) < len(served):
            return
        order = EvaluationOrder(
            identity=examination.identity,
            content=examination.content,
            nonce=examination.nonce,
            suite=examination.suite,
            candidate=ready["candidate"],
            baseline=ready.get("baseline"),
            deadline_seconds=limits.EVALUATION_RUN_SECONDS,
        )
        files = {"order.json": encode_evaluation_order(order)}
        if examination.suite.prompts:
            files["prompts.json"] = self._models.prompts(examination.settings.private)
        name = job["metadata"]["name"]
        self._make("secrets", pods.secret(job, name, files), job)
        patch = {"metadata": {"resourceVersion": job["metadata"]["resourceVersion"]}, "spec": {"suspend": False}}
        try:
            self._api.merge_patch(self._jobs(name), patch)
        except ConflictError:
            return  # somebody else did; the next look tells

    def _engine(self, job: Object, part: str, model: Identity, examination: Examination) -> Served | None:
        """One engine with all it needs; None while it is not ready."""
        name = f"{job['metadata']['name']}-{part}"
        digest, file = self._content(part, model, examination)
        source = self._models.access(model)
        order = Order(model, commitment(name)[:_NAME_CHARACTERS], (), (), read_bytes=False, now=0, source=source)
        self._make("secrets", pods.secret(job, name, {"order.json": work.encode_order(order)}), job)
        found = self._make("services", pods.service(job, name), job)
        value = pods.engine(
            job, name, settings=examination.settings, image=self._image, digest=digest, file=file, max_bytes=source.max_bytes
        )
        engine = self._make("jobs", value, job)
        if ended(engine) is not None:
            raise self._given_up(job, examination, f"the engine of the {part} ended before it was asked{self._why(engine)}")
        address = (found.get("spec") or {}).get("clusterIP")
        if not self._ready(engine) or not address:
            if self._now() > _started(engine) + limits.EVALUATION_START_SECONDS:
                seconds = limits.EVALUATION_START_SECONDS
                raise self._given_up(job, examination, f"the engine of the {part} was not ready in {seconds} s{self._why(engine)}")
            return None
        dialect = _DIALECTS[examination.settings.engine]
        host = f"[{address}]" if ":" in address else address
        return Served(f"http://{host}:{pods.PORT}", pods.MODEL, dialect)

    def _content(self, part: str, model: Identity, examination: Examination) -> tuple[str, str]:
        """The content digest, and the file that the engine is pointed at."""
        statement = self._models.statement(model)
        if statement is None or not isinstance(statement.content, Known):
            raise UnavailableError(f"the {part} {quote(model)} is not attested yet; what is served is compared with its content")
        digest = str(statement.content.value)
        if part == "candidate" and digest != examination.content:
            raise UnavailableError("the statement about the candidate changed meanwhile")
        if examination.settings.engine != "LlamaCpp" or not isinstance(statement.formats, Known):
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

    def _check_engines(self, job: Object, examination: Examination) -> None:
        for part in _parts(examination):
            name = f"{job['metadata']['name']}-{part}"
            try:
                engine = self._api.get_object(self._jobs(name))
            except NotFoundError as error:
                raise MalformedError(f"the engine of the {part} is gone while it is asked") from error
            if ended(engine) is not None:
                raise self._given_up(job, examination, f"the engine of the {part} ended while it was asked{self._why(engine)}")

    def _given_up(self, job: Object, examination: Examination, why: str) -> MalformedError:
        """A run without an engine shows nothing: nothing of it stays, least of all a suspended Job in the place of another run."""
        self._stop_engines(job, examination)
        self._api.delete(self._jobs(job["metadata"]["name"]), uid=job["metadata"]["uid"])
        return MalformedError(why)

    def _stop_engines(self, job: Object, examination: Examination) -> None:
        """A GPU is dear: engines do not wait for the runner's Job to be collected."""
        for part in _parts(examination):
            try:
                self._api.delete(self._jobs(f"{job['metadata']['name']}-{part}"))
            except NotFoundError:
                continue

    def _report(self, job: Object, examination: Examination) -> EvaluationReport:
        try:
            spec = self._runner(job["metadata"]["name"], examination)["spec"]["template"]["spec"]
            bound = limits.EVALUATION_LOG_BYTES
            log = log_of(self._api, job, spec=spec, namespace=self._namespace, container=pods.RUNNER, max_bytes=bound)
        except (NotFoundError, LimitExceededError) as error:
            raise MalformedError(f"the runner left no report: {error}") from error
        report = decode_evaluation_report(log.rstrip(b"\n").rpartition(b"\n")[2])
        served = Served("", pods.MODEL, Dialect.VLLM)  # where it was asked plays no part in what is compared
        order = EvaluationOrder(
            examination.identity,
            examination.content,
            examination.nonce,
            examination.suite,
            served,
            None,
            limits.EVALUATION_RUN_SECONDS,
        )
        binding.check(report, order, examination.bank)
        return report

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


def _parts(examination: Examination) -> Mapping[str, Identity]:
    parts = {"candidate": examination.identity}
    return parts if examination.baseline is None else parts | {"baseline": examination.baseline}


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
