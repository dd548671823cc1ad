"""Rounds and recordings as Jobs: what each may reach, what is believed, and what is kept."""

import base64
import copy
import json
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from modeltrust.api.compile.suites import Placement, SuiteSettings
from modeltrust.api.evaluation_work import decode_monitor_order, encode_monitor_report
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError, UnavailableError
from modeltrust.domain.evaluation import Served, commitment
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Running, SourceAccess, SourceType
from modeltrust.evaluation.fingerprint import Fingerprint, encode_fingerprint
from modeltrust.kube import paths
from modeltrust.operator.fingerprints import Fingerprints, name_of
from modeltrust.operator.monitor_jobs import JobProbes
from modeltrust.operator.monitoring import Watched
from modeltrust.operator.writes import Writes
from tests.support import evaluation_runs as runs
from tests.support.cluster import ClusterSimulator
from tests.support.endpoints import PROMPTS
from tests.support.monitoring import MODEL, SUITE, a_round, attested
from tests.support.played_jobs import JOBS, NAMESPACE, SECRETS, a_pod, end, engine_is_ready, finish, found
from tests.support.statements import a_statement
from tests.support.suites import a_suite

IMAGE = "registry.example/modeltrust@sha256:" + "a" * 64
SETTINGS = SuiteSettings(
    name="canary",
    families=SUITE.families,
    per_stratum=SUITE.per_stratum,
    private="prompts",
    alpha=SUITE.alpha,
    margin=SUITE.margin,
    baseline=None,
    engine="VLLM",
    image="registry.example/vllm@sha256:" + "b" * 64,
    arguments=(),
    placement=Placement(resources={"limits": {"nvidia.com/gpu": "1"}}),
)
NONCE = f"{1:032x}"  # of tests.support.monitoring.a_round(1, …)
LIVE = Served("http://guard.serving.svc:8000", "guard", runs.SERVED.dialect)
ROUND, RECORD = (f"{kind}-{commitment(NONCE)[:32]}" for kind in ("monitor", "record"))
STATEMENT = a_statement(identity=MODEL, content=Known(ContentDigest(runs.CONTENT.removeprefix("sha256:"))))


def watched(*, recorded: bool = True) -> Watched:
    fingerprint, digest = attested()
    return Watched(MODEL, runs.CONTENT, SUITE, LIVE, "serving", digest if recorded else "", fingerprint.triggers)


def order(*, recorded: bool = True) -> MonitorOrder:
    seconds = limits.MONITOR_SECONDS if recorded else limits.EVALUATION_RUN_SECONDS
    return MonitorOrder(MODEL, runs.CONTENT, NONCE, SUITE, LIVE, attested()[1] if recorded else "", seconds)


@dataclass(frozen=True)
class KnownModels:
    """One attested model."""

    letter: Statement | None = STATEMENT

    def access(self, _model: Identity) -> SourceAccess:
        return SourceAccess(SourceType.HUGGING_FACE, ("https://huggingface.co",))

    def statement(self, _model: Identity) -> Statement | None:
        return self.letter

    def prompts(self, _secret: str) -> bytes:
        return PROMPTS.read_bytes()


@pytest.fixture
def probes(writes: Writes, cluster: ClusterSimulator) -> JobProbes:
    cluster.put(paths.ours("evaluationsuites"), {**a_suite(), "metadata": {"name": "canary", "uid": "suite-uid"}})
    return JobProbes(writes, KnownModels(), Fingerprints(writes, namespace=NAMESPACE), namespace=NAMESPACE, image=IMAGE)


def probe(probes: JobProbes) -> MonitorReport | Running:
    return probes.probe(SETTINGS, watched(), order())


def record(probes: JobProbes) -> str | Running:
    return probes.record(SETTINGS, watched(recorded=False), order(recorded=False))


def released(probes: JobProbes, cluster: ClusterSimulator) -> JobProbes:
    assert isinstance(probe(probes), Running)
    assert found(cluster, JOBS, ROUND)["spec"]["suspend"] is False
    return probes


def a_report(**changes: Any) -> bytes:
    return encode_monitor_report(replace(a_round(1, runs.BASE), **changes))


def test_a_round_is_a_runner_alone_with_its_order_the_prompts_and_the_fingerprint(
    probes: JobProbes, cluster: ClusterSimulator
) -> None:
    released(probes, cluster)
    (job,) = cluster.all(JOBS)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    data = found(cluster, SECRETS, ROUND)["data"]

    assert container["args"] == [
        *("job", "monitor", "--order", "/order/order.json", "--prompts", "/order/prompts.json"),
        *("--fingerprint", "/fingerprint/fingerprint.gz"),
    ]
    assert [volume["secret"]["secretName"] for volume in pod["volumes"]] == [ROUND, name_of(MODEL.key, SUITE.hash)]
    assert decode_monitor_order(base64.b64decode(data["order.json"])) == order()
    assert base64.b64decode(data["prompts.json"]) == PROMPTS.read_bytes()
    assert NONCE not in json.dumps(job)


def test_h2_the_network_policy_of_its_namespace_selects_a_rounds_pod_and_that_of_evaluations_does_not(
    probes: JobProbes, cluster: ClusterSimulator
) -> None:
    released(probes, cluster)
    labels = found(cluster, JOBS, ROUND)["spec"]["template"]["metadata"]["labels"]

    assert (labels["modeltrust.dev/job"], labels["modeltrust.dev/monitored"]) == ("monitor", "serving")


@pytest.mark.parametrize("recorded", [True, False])
def test_every_pod_is_restricted_has_no_token_and_an_end(recorded: bool, probes: JobProbes, cluster: ClusterSimulator) -> None:  # noqa: FBT001 - a case
    probe(probes) if recorded else record(probes)
    for job in cluster.all(JOBS):
        pod = job["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert job["spec"]["activeDeadlineSeconds"] > 0
        actions = [rule["action"] for rule in job["spec"]["podFailurePolicy"]["rules"]]
        assert actions == ["Ignore", "FailJob"]
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_report_of_a_rounds_own_pod_is_returned_and_asking_again_starts_nothing(
    probes: JobProbes, cluster: ClusterSimulator
) -> None:
    released(probes, cluster)
    finish(cluster, ROUND, a_report())

    assert probe(probes) == a_round(1, runs.BASE) == probe(probes)
    assert [job["metadata"]["name"] for job in cluster.all(JOBS)] == [ROUND]


def test_c6_a_report_that_another_pod_printed_is_not_believed(probes: JobProbes, cluster: ClusterSimulator) -> None:
    released(probes, cluster)
    finish(cluster, ROUND, a_report(), owner="somebody-else")

    with pytest.raises(UnavailableError, match="0 Pods"):
        probe(probes)


def test_c6_a_pod_of_the_job_that_runs_another_image_is_not_believed(probes: JobProbes, cluster: ClusterSimulator) -> None:
    released(probes, cluster)
    job = copy.deepcopy(end(cluster, ROUND))
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "evil"
    a_pod(cluster, job, "forged", phase="Succeeded")
    cluster.logs[f"{NAMESPACE}/forged"] = a_report() + b"\n"

    with pytest.raises(UnavailableError, match="does not run"):
        probe(probes)


def test_c6_a_job_of_the_rounds_name_made_beforehand_is_removed(probes: JobProbes, cluster: ClusterSimulator) -> None:
    probe(probes)
    job = found(cluster, JOBS, ROUND)
    job["spec"]["template"]["spec"]["volumes"][1]["secret"]["secretName"] = "other"
    cluster.put(JOBS, job)

    with pytest.raises(UnavailableError, match="it is removed"):
        probe(probes)
    assert cluster.find(JOBS, ROUND) is None


REPORT = json.loads(encode_monitor_report(a_round(1, runs.BASE)))


def spelt(**changes: Any) -> bytes:
    return json.dumps({**REPORT, **changes}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"\xff" * 64,
        b'{"e": 1000}',
        spelt(e=1_000),
        spelt(shifts=[float("nan")]),
        spelt(shifts=[1e400]),
        spelt(shifts=[0.5] * limits.MONITOR_IDENTITY_PROBES),
        spelt(shifts=["0"] * limits.MONITOR_IDENTITY_PROBES),
        spelt(nonce="x" * 32),
        b"[" * 100_000,
        b" " + spelt(),
        b'"' + b"x" * limits.MONITOR_REPORT_BYTES + b'"',
    ],
)
def test_c6_a_line_that_is_no_report_of_ours_is_none(line: bytes, probes: JobProbes, cluster: ClusterSimulator) -> None:
    released(probes, cluster)
    finish(cluster, ROUND, line)

    with pytest.raises(ModelTrustError):
        probe(probes)


def test_f63_a_round_whose_pod_failed_says_why(probes: JobProbes, cluster: ClusterSimulator) -> None:
    released(probes, cluster)
    end(cluster, ROUND, "Failed", "DeadlineExceeded")

    with pytest.raises(MalformedError, match="DeadlineExceeded"):
        probe(probes)


def test_as_many_rounds_at_once_as_may_and_recordings_count_among_evaluations(writes: Writes, cluster: ClusterSimulator) -> None:
    kept = Fingerprints(writes, namespace=NAMESPACE)
    probes = JobProbes(writes, KnownModels(), kept, namespace=NAMESPACE, image=IMAGE, at_once=1)
    released(probes, cluster)

    with pytest.raises(LimitExceededError, match="1 runs of the kind monitor"):
        probes.probe(SETTINGS, watched(), replace(order(), nonce="e" * 32))
    assert isinstance(record(probes), Running)
    assert found(cluster, JOBS, RECORD)["metadata"]["labels"]["modeltrust.dev/job"] == "evaluate"


# --- recordings ------------------------------------------------------------------------------------------------------------------


def recording(probes: JobProbes, cluster: ClusterSimulator) -> JobProbes:
    record(probes)
    assert found(cluster, JOBS, RECORD)["spec"]["suspend"] is True
    engine_is_ready(cluster, f"{RECORD}-candidate")
    record(probes)
    assert found(cluster, JOBS, RECORD)["spec"]["suspend"] is False
    return probes


def a_line(**changes: Any) -> bytes:
    fingerprint: Fingerprint = msgspec.structs.replace(attested()[0], **{"nonce": NONCE, **changes})
    return base64.b64encode(encode_fingerprint(fingerprint))


def test_h15_a_fingerprint_is_recorded_from_an_engine_with_the_attested_bytes_and_the_suites_serving(
    probes: JobProbes, cluster: ClusterSimulator
) -> None:
    recording(probes, cluster)
    engine = found(cluster, JOBS, f"{RECORD}-candidate")["spec"]["template"]["spec"]
    asked = decode_monitor_order(base64.b64decode(found(cluster, SECRETS, RECORD)["data"]["order.json"]))

    assert engine["initContainers"][0]["args"][-2:] == ["--digest", runs.CONTENT]
    assert engine["containers"][0]["image"] == SETTINGS.image
    assert (asked.served.url, asked.fingerprint, asked.nonce) == ("http://10.96.0.7:8000", "", NONCE)
    assert LIVE.url not in json.dumps([*cluster.all(JOBS)])


def test_a_fingerprint_is_kept_as_a_secret_that_goes_with_the_suite_and_its_engine_stops(
    probes: JobProbes, cluster: ClusterSimulator, writes: Writes
) -> None:
    recording(probes, cluster)
    finish(cluster, RECORD, a_line())
    digest = record(probes)
    secret = found(cluster, SECRETS, name_of(MODEL.key, SUITE.hash))

    assert isinstance(digest, str)
    assert Fingerprints(writes, namespace=NAMESPACE).digest(MODEL, SUITE.hash, runs.CONTENT) == digest
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == ["suite-uid"]
    assert secret["immutable"] is True
    assert [job["metadata"]["name"] for job in cluster.all(JOBS)] == [RECORD]
    assert record(probes) == digest


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"!!!",
        base64.b64encode(b"\x1f\x8b" + b"\0" * 40),
        base64.b64encode(b"x" * (limits.MONITOR_FINGERPRINT_BYTES + 1)),
        a_line(nonce="f" * 32),
        a_line(suite_hash="0" * 64),
        a_line(content="sha256:" + "0" * 64),
        a_line(triggers=("other",)),
        a_line(kept=()),
    ],
)
def test_c6_a_forged_or_replayed_fingerprint_is_not_kept(line: bytes, probes: JobProbes, cluster: ClusterSimulator) -> None:
    recording(probes, cluster)
    finish(cluster, RECORD, line)

    with pytest.raises(ModelTrustError):
        record(probes)
    assert cluster.find(SECRETS, name_of(MODEL.key, SUITE.hash)) is None


def test_f63_an_engine_that_ends_while_answers_are_recorded_ends_the_recording(
    probes: JobProbes, cluster: ClusterSimulator
) -> None:
    recording(probes, cluster)
    end(cluster, f"{RECORD}-candidate", "Failed", "PodFailurePolicy")

    with pytest.raises(MalformedError, match="engine of the candidate ended"):
        record(probes)
    assert cluster.all(JOBS) == []


def test_nothing_is_recorded_of_a_model_that_is_not_attested(writes: Writes) -> None:
    kept = Fingerprints(writes, namespace=NAMESPACE)
    probes = JobProbes(writes, KnownModels(None), kept, namespace=NAMESPACE, image=IMAGE)
    with pytest.raises(UnavailableError, match="not attested yet"):
        record(probes)


# --- what is kept ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret["data"].update({"fingerprint.gz": "!"}),
        lambda secret: secret["data"].clear(),
        lambda secret: secret.pop("data"),
        lambda secret: secret["metadata"]["annotations"].update({"modeltrust.dev/content-digest": "sha256:" + "0" * 64}),
        lambda secret: secret["metadata"].pop("annotations"),
    ],
)
def test_a_secret_that_holds_no_fingerprint_of_this_content_is_none(change: Any, writes: Writes, cluster: ClusterSimulator) -> None:
    kept = Fingerprints(writes, namespace=NAMESPACE)
    suite = {"metadata": {"name": "canary", "uid": "u"}}
    digest = kept.keep(suite, MODEL, SUITE.hash, runs.CONTENT, b"data")
    assert kept.digest(MODEL, SUITE.hash, runs.CONTENT) == digest
    secret = found(cluster, SECRETS, name_of(MODEL.key, SUITE.hash))
    change(secret)
    cluster.put(SECRETS, secret)

    assert kept.digest(MODEL, SUITE.hash, runs.CONTENT) == ""


def test_another_one_takes_its_place_and_it_is_forgotten_once(writes: Writes, cluster: ClusterSimulator) -> None:
    kept = Fingerprints(writes, namespace=NAMESPACE)
    suite = {"metadata": {"name": "canary", "uid": "u"}}
    first = kept.keep(suite, MODEL, SUITE.hash, runs.CONTENT, b"one")
    second = kept.keep(suite, MODEL, SUITE.hash, runs.CONTENT, b"two")
    assert first != second == kept.digest(MODEL, SUITE.hash, runs.CONTENT)
    kept.forget(MODEL.key, SUITE.hash)
    kept.forget(MODEL.key, SUITE.hash)

    assert cluster.all(SECRETS) == []
    assert kept.digest(MODEL, SUITE.hash, runs.CONTENT) == ""
