"""Evaluations as Jobs: what is started in which order, what is believed, and what a broken one becomes."""

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modeltrust.api.compile.suites import Placement, SuiteSettings
from modeltrust.api.evaluation_work import decode_evaluation_order, encode_evaluation_report
from modeltrust.api.work import decode_order
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Dialect, EvaluationReport, commitment
from modeltrust.domain.evidence import FormatReport, Statement, WeightFormat
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.work import Running, SourceAccess, SourceType
from modeltrust.kube.client import ApiServer
from modeltrust.operator.evaluation_jobs import JobEvaluator
from modeltrust.operator.evaluations import Examination
from modeltrust.operator.writes import Budget, Writes
from tests.support import evaluation_runs as runs
from tests.support.cluster import ClusterSimulator
from tests.support.endpoints import PROMPTS
from tests.support.statements import IDENTITY, a_statement

NAMESPACE = "modeltrust-jobs"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS, SECRETS, SERVICES = (f"/api/v1/namespaces/{NAMESPACE}/{plural}" for plural in ("pods", "secrets", "services"))
IMAGE = "registry.example/modeltrust@sha256:" + "a" * 64
ENGINE = "registry.example/vllm@sha256:" + "b" * 64
BASE = parse_identity("hf://acme/base@" + "1" * 40)
BANK = runs.private_bank()
SUITE = replace(runs.suite(BANK, families=("DeploymentTag",), per_stratum=4), baseline=BASE.key)
SETTINGS = SuiteSettings(
    name="canary",
    families=SUITE.families,
    per_stratum=4,
    private="prompts",
    alpha=SUITE.alpha,
    margin=SUITE.margin,
    baseline=BASE,
    engine="VLLM",
    image=ENGINE,
    arguments=("--max-model-len", "2048"),
    placement=Placement(resources={"limits": {"nvidia.com/gpu": "1"}}, node_selector={"gpu": "a100"}, queue="gpu"),
)
STATEMENT = a_statement(content=Known(ContentDigest("ab" * 32)))
EXAMINATION = Examination(IDENTITY, f"sha256:{'ab' * 32}", SETTINGS, SUITE, BASE, runs.NONCE, BANK)
NAME = f"evaluate-{commitment(runs.NONCE)[:32]}"
ACCESS = SourceAccess(SourceType.HUGGING_FACE, ("https://huggingface.co",), password="source-secret")  # noqa: S106 - must not leak


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[Writes]:
    with cluster.serving(tmp_path / "api") as access:
        yield Writes(ApiServer(access), budget=Budget(1e6, clock=lambda: 0.0, wait=lambda _: False), leading=lambda: True)


@dataclass(frozen=True)
class KnownModels:
    """Attested models of one source."""

    statements: dict[Identity, Statement]

    def access(self, _model: Identity) -> SourceAccess:
        return ACCESS

    def statement(self, model: Identity) -> Statement | None:
        return self.statements.get(model)

    def prompts(self, _secret: str) -> bytes:
        return PROMPTS.read_bytes()


def evaluator(
    api: Writes, *, statements: dict[Identity, Statement] | None = None, at_once: int = 2, now: float = 0.0
) -> JobEvaluator:
    known = {IDENTITY: STATEMENT, BASE: replace(STATEMENT, identity=BASE)} if statements is None else statements
    return JobEvaluator(api, KnownModels(known), namespace=NAMESPACE, image=IMAGE, at_once=at_once, now=lambda: now)


def found(cluster: ClusterSimulator, collection: str, name: str) -> dict[str, Any]:
    value = cluster.find(collection, name)
    assert value is not None, name
    return value


def started(cluster: ClusterSimulator, part: str) -> None:
    """What a kubelet and the Service controller do for one engine."""
    name = f"{NAME}-{part}"
    job, service = found(cluster, JOBS, name), found(cluster, SERVICES, name)
    service["spec"]["clusterIP"] = "10.96.0.7" if part == "candidate" else "fd00::7"
    cluster.put(SERVICES, service)
    a_pod(cluster, job, f"{name}-x", phase="Running", conditions=[{"type": "Ready", "status": "True"}])


def a_pod(cluster: ClusterSimulator, job: dict[str, Any], name: str, *, owner: str = "", **status: Any) -> None:
    uid = job["metadata"]["uid"]
    references = [{"kind": "Job", "uid": owner or uid, "controller": True}]
    metadata = {"name": name, "labels": {"batch.kubernetes.io/controller-uid": uid}, "ownerReferences": references}
    cluster.put(PODS, {"metadata": metadata, "spec": job["spec"]["template"]["spec"], "status": status})


def end(cluster: ClusterSimulator, name: str = NAME, kind: str = "Complete", reason: str = "") -> dict[str, Any]:
    job = found(cluster, JOBS, name)
    job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
    return cluster.put(JOBS, job)


def running(api: Writes, cluster: ClusterSimulator) -> JobEvaluator:
    """A run that has been released."""
    one = evaluator(api)
    assert isinstance(one.evaluate(EXAMINATION), Running)
    started(cluster, "candidate")
    started(cluster, "baseline")
    assert isinstance(one.evaluate(EXAMINATION), Running)
    assert found(cluster, JOBS, NAME)["spec"]["suspend"] is False
    return one


def a_report() -> EvaluationReport:
    asked = replace(SUITE)
    report = runs.run(runs.TWIN, asked=asked)
    return replace(report, identity=IDENTITY, nonce=runs.NONCE)


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return a_report()


def finished(cluster: ClusterSimulator, log: bytes) -> None:
    a_pod(cluster, end(cluster), "runner-x", phase="Succeeded")
    cluster.logs[f"{NAMESPACE}/runner-x"] = b'{"event": "progress"}\n' + log + b"\n"


def test_the_runner_waits_for_its_engines_and_its_order_is_written_last(api: Writes, cluster: ClusterSimulator) -> None:
    one = evaluator(api)
    one.evaluate(EXAMINATION)
    assert found(cluster, JOBS, NAME)["spec"]["suspend"] is True
    assert cluster.find(SECRETS, NAME) is None
    started(cluster, "candidate")
    one.evaluate(EXAMINATION)
    assert cluster.find(SECRETS, NAME) is None
    started(cluster, "baseline")
    one.evaluate(EXAMINATION)

    data = found(cluster, SECRETS, NAME)["data"]
    order = decode_evaluation_order(base64.b64decode(data["order.json"]))
    assert found(cluster, JOBS, NAME)["spec"]["suspend"] is False
    assert base64.b64decode(data["prompts.json"]) == PROMPTS.read_bytes()
    assert (order.candidate.url, order.candidate.dialect, order.nonce) == ("http://10.96.0.7:8000", Dialect.VLLM, runs.NONCE)
    assert order.baseline is not None
    assert order.baseline.url == "http://[fd00::7]:8000"


def test_h15_an_engine_is_given_the_attested_bytes_and_no_way_to_fetch_others(api: Writes, cluster: ClusterSimulator) -> None:
    evaluator(api).evaluate(EXAMINATION)
    job = found(cluster, JOBS, f"{NAME}-candidate")
    spec = job["spec"]["template"]["spec"]
    (fetch,), (serve,) = spec["initContainers"], spec["containers"]

    assert fetch["image"] == IMAGE
    assert fetch["args"][:2] + fetch["args"][-2:] == ["job", "fetch", "--digest", f"sha256:{'ab' * 32}"]
    assert serve["image"] == ENGINE
    assert serve["args"][0] == "/models/model"
    assert serve["args"][-2:] == ["--max-model-len", "2048"]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in serve["env"]
    assert [mount["readOnly"] for mount in serve["volumeMounts"] if mount["name"] == "models"] == [True]
    assert "order" not in {mount["name"] for mount in serve["volumeMounts"]}
    secret = found(cluster, SECRETS, f"{NAME}-candidate")
    order = decode_order(base64.b64decode(secret["data"]["order.json"]))
    assert (order.identity, order.source) == (IDENTITY, ACCESS)
    assert "source-secret" not in json.dumps(job)


def test_an_engine_is_pointed_at_the_gguf_file(api: Writes, cluster: ClusterSimulator) -> None:
    formats = Known(FormatReport((WeightFormat("GGUF", 1, "q4/model.gguf", loadable=True),), (), "1"))
    statements = {IDENTITY: replace(STATEMENT, formats=formats), BASE: replace(STATEMENT, identity=BASE)}
    evaluator(api, statements=statements).evaluate(replace(EXAMINATION, settings=replace(SETTINGS, engine="LlamaCpp")))
    arguments = found(cluster, JOBS, f"{NAME}-candidate")["spec"]["template"]["spec"]["containers"][0]["args"]

    assert arguments[:2] == ["--model", "/models/model/q4/model.gguf"]


@pytest.mark.parametrize("name", [NAME, f"{NAME}-candidate", f"{NAME}-baseline"])
def test_every_pod_is_restricted_has_no_token_and_an_end(name: str, api: Writes, cluster: ClusterSimulator) -> None:
    evaluator(api).evaluate(EXAMINATION)
    spec = found(cluster, JOBS, name)["spec"]
    pod = spec["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["seccompProfile"]["type"]) == (True, "RuntimeDefault")
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for volume in pod["volumes"]:
        assert "emptyDir" not in volume or int(volume["emptyDir"]["sizeLimit"]) > 0  # what a model writes fills no node's disk
    assert spec["activeDeadlineSeconds"] > 0
    assert not {"hostNetwork", "hostPID"} & set(pod)


def test_where_an_engine_runs_is_as_the_suite_says_and_kueue_lets_it(api: Writes, cluster: ClusterSimulator) -> None:
    evaluator(api).evaluate(EXAMINATION)
    job = found(cluster, JOBS, f"{NAME}-candidate")
    pod = job["spec"]["template"]["spec"]

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert job["spec"]["suspend"] is True
    assert (pod["nodeSelector"], pod["containers"][0]["resources"]) == ({"gpu": "a100"}, {"limits": {"nvidia.com/gpu": "1"}})
    assert "nvidia.com/gpu" not in json.dumps(found(cluster, JOBS, NAME))


def test_everything_goes_with_the_runners_job(api: Writes, cluster: ClusterSimulator) -> None:
    running(api, cluster)
    uid = found(cluster, JOBS, NAME)["metadata"]["uid"]
    others = [o for c in (JOBS, SECRETS, SERVICES) for o in cluster.all(c) if o["metadata"]["uid"] != uid]

    assert len(others) == 7
    assert {o["metadata"]["ownerReferences"][0]["uid"] for o in others} == {uid}


def test_f65_asking_again_starts_nothing_twice(api: Writes, cluster: ClusterSimulator) -> None:
    one = running(api, cluster)
    before = len(cluster.all(JOBS))
    for _ in range(3):
        one.evaluate(EXAMINATION)

    assert len(cluster.all(JOBS)) == before == 3


def test_the_nonce_stands_nowhere_but_in_the_runners_secret(api: Writes, cluster: ClusterSimulator) -> None:
    running(api, cluster)
    seen = [value for collection in (JOBS, SERVICES) for value in cluster.all(collection)]

    assert runs.NONCE not in json.dumps(seen)


def test_the_report_of_the_runners_own_pod_is_returned_and_the_engines_stop(
    api: Writes, cluster: ClusterSimulator, report: EvaluationReport
) -> None:
    one = running(api, cluster)
    finished(cluster, encode_evaluation_report(report))

    assert one.evaluate(EXAMINATION) == report
    assert [job["metadata"]["name"] for job in cluster.all(JOBS)] == [NAME]
    assert one.evaluate(EXAMINATION) == report  # until its verdict is signed


@pytest.mark.parametrize(
    "forge",
    [
        lambda r: replace(r, nonce="00" * 16),
        lambda r: replace(r, identity=BASE),
        lambda r: replace(r, suite_hash="0" * 64),
        lambda r: replace(r, bank=replace(r.bank, rows=r.bank.rows[:-1])),
    ],
)
def test_c6_f64_a_forged_report_is_no_report(forge: Any, api: Writes, cluster: ClusterSimulator, report: EvaluationReport) -> None:
    one = running(api, cluster)
    finished(cluster, encode_evaluation_report(forge(report)))

    with pytest.raises(MalformedError):
        one.evaluate(EXAMINATION)


@pytest.mark.parametrize("log", [b"", b"{}", b"\xff" * 100, b'{"verdict": "Passed"}'])
def test_a_runner_that_prints_something_else_showed_nothing(log: bytes, api: Writes, cluster: ClusterSimulator) -> None:
    one = running(api, cluster)
    finished(cluster, log)

    with pytest.raises(MalformedError):
        one.evaluate(EXAMINATION)


def test_c6_the_log_of_another_pod_is_not_believed(api: Writes, cluster: ClusterSimulator, report: EvaluationReport) -> None:
    one = running(api, cluster)
    a_pod(cluster, end(cluster), "runner-x", owner="somebody-else", phase="Succeeded")
    cluster.logs[f"{NAMESPACE}/runner-x"] = encode_evaluation_report(report) + b"\n"

    with pytest.raises(UnavailableError, match="0 Pods"):
        one.evaluate(EXAMINATION)


def test_c6_a_job_made_beforehand_under_the_public_name_of_a_run_is_removed(api: Writes, cluster: ClusterSimulator) -> None:
    one = running(api, cluster)
    job = found(cluster, JOBS, NAME)
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["cat", "/evil/report"]
    cluster.put(JOBS, job)
    with pytest.raises(UnavailableError, match="it is removed"):
        one.evaluate(EXAMINATION)
    assert cluster.find(JOBS, NAME) is None


def test_c6_a_pod_that_runs_another_image_in_the_place_of_the_runner_is_not_believed(
    api: Writes, cluster: ClusterSimulator, report: EvaluationReport
) -> None:
    one = running(api, cluster)
    job = copy.deepcopy(end(cluster))
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "evil"
    a_pod(cluster, job, "runner-x", phase="Succeeded")
    cluster.logs[f"{NAMESPACE}/runner-x"] = encode_evaluation_report(report) + b"\n"
    with pytest.raises(UnavailableError, match="does not run"):
        one.evaluate(EXAMINATION)


def test_f63_a_runner_that_failed_is_told_with_what_kubernetes_says(api: Writes, cluster: ClusterSimulator) -> None:
    one = running(api, cluster)
    terminated = {"reason": "OOMKilled", "exitCode": 137}
    a_pod(
        cluster,
        end(cluster, kind="Failed", reason="PodFailurePolicy"),
        "runner-x",
        phase="Failed",
        containerStatuses=[{"name": "evaluate", "state": {"terminated": terminated}}],
    )

    with pytest.raises(MalformedError, match=r"PodFailurePolicy.*OOMKilled.*137"):
        one.evaluate(EXAMINATION)


@pytest.mark.parametrize("released", [False, True])
def test_f63_an_engine_that_ends_ends_the_run(released: bool, api: Writes, cluster: ClusterSimulator) -> None:  # noqa: FBT001 - a case
    one = running(api, cluster) if released else evaluator(api)
    one.evaluate(EXAMINATION)
    end(cluster, f"{NAME}-baseline", kind="Failed", reason="DeadlineExceeded")

    with pytest.raises(MalformedError, match="engine of the baseline"):
        one.evaluate(EXAMINATION)
    assert cluster.all(JOBS) == []  # a suspended runner has no deadline and would keep another run's place for ever


def test_f63_an_engine_that_is_never_ready_ends_the_run_with_what_kubernetes_says(api: Writes, cluster: ClusterSimulator) -> None:
    evaluator(api).evaluate(EXAMINATION)
    job = found(cluster, JOBS, f"{NAME}-candidate")
    job["status"] = {"startTime": "1970-01-01T00:00:10Z"}
    cluster.put(JOBS, job)
    waiting = {"name": "engine", "state": {"waiting": {"reason": "ErrImagePull"}}}
    a_pod(cluster, job, "engine-x", phase="Pending", containerStatuses=[waiting])
    last = 10.0 + limits.EVALUATION_START_SECONDS

    assert isinstance(evaluator(api, now=last).evaluate(EXAMINATION), Running)
    with pytest.raises(MalformedError, match=r"candidate was not ready in 1800 s .*ErrImagePull"):
        evaluator(api, now=last + 1).evaluate(EXAMINATION)
    assert cluster.all(JOBS) == []


def test_an_engine_that_waits_in_a_queue_is_waited_for(api: Writes) -> None:
    assert isinstance(evaluator(api, now=1e9).evaluate(EXAMINATION), Running)
    assert isinstance(evaluator(api, now=2e9).evaluate(EXAMINATION), Running)


def test_as_many_at_once_as_may(api: Writes) -> None:
    one = evaluator(api, at_once=1)
    one.evaluate(EXAMINATION)

    with pytest.raises(LimitExceededError, match="1 runs of the kind evaluate are under way"):
        one.evaluate(replace(EXAMINATION, nonce="cd" * 16))


def test_a_run_that_nobody_asks_for_any_more_makes_room(api: Writes, cluster: ClusterSimulator) -> None:
    evaluator(api, at_once=1).evaluate(EXAMINATION)
    job = found(cluster, JOBS, NAME)
    job["metadata"]["creationTimestamp"] = "1970-01-01T00:00:10Z"
    cluster.put(JOBS, job)
    another = replace(EXAMINATION, nonce="cd" * 16)
    last = 10.0 + limits.EVALUATION_SECONDS + limits.EVALUATION_START_SECONDS

    for now in (last, last + 1):  # the place is free with the next look
        with pytest.raises(LimitExceededError):
            evaluator(api, at_once=1, now=now).evaluate(another)
    assert cluster.find(JOBS, NAME) is None
    assert isinstance(evaluator(api, at_once=1, now=last + 2).evaluate(another), Running)


def test_nothing_is_served_that_is_not_attested(api: Writes, cluster: ClusterSimulator) -> None:
    with pytest.raises(UnavailableError, match=r"baseline .* is not attested yet"):
        evaluator(api, statements={IDENTITY: STATEMENT}).evaluate(EXAMINATION)
    other = replace(STATEMENT, content=Known(ContentDigest("cd" * 32)))
    with pytest.raises(UnavailableError, match="changed meanwhile"):
        evaluator(api, statements={IDENTITY: other, BASE: other}).evaluate(EXAMINATION)
    assert found(cluster, JOBS, NAME)["spec"]["suspend"] is True


def test_m4_somebody_elses_objects_under_our_names_are_removed(api: Writes, cluster: ClusterSimulator) -> None:
    cluster.put(SECRETS, {"metadata": {"name": f"{NAME}-candidate", "namespace": NAMESPACE}, "data": {}})

    with pytest.raises(UnavailableError, match="of another run"):
        evaluator(api).evaluate(EXAMINATION)
    assert cluster.find(SECRETS, f"{NAME}-candidate") is None
