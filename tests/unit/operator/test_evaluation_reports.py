import json

from modeltrust.evaluation.judge import judge
from modeltrust.kube import paths
from modeltrust.operator.evaluation_reports import Reports
from modeltrust.operator.writes import Writes
from tests.support.cluster import ClusterSimulator
from tests.support.evaluations import a_report, a_suite

NAMESPACE = "modeltrust-jobs"
CONFIG_MAPS = paths.core("configmaps", namespace=NAMESPACE)
SUITE = a_suite()


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def log(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


def test_a_report_can_be_read_where_the_verdict_says(writes: Writes, cluster: ClusterSimulator) -> None:
    report = a_report(SUITE)
    place = Reports(writes, namespace=NAMESPACE, logs=Lines()).publish(report, judge(report, SUITE), SUITE)
    namespace, _, name = place.partition("/")
    found = cluster.find(CONFIG_MAPS, name)

    assert namespace == NAMESPACE
    assert found is not None
    assert found["data"]["report.html"].startswith("<!doctype html>")
    assert json.loads(found["data"]["report.json"])["nonce"] == report.nonce
    assert found["data"]["model"] == report.identity.key


def test_the_next_run_takes_the_place_of_the_last(writes: Writes, cluster: ClusterSimulator) -> None:
    reports = Reports(writes, namespace=NAMESPACE, logs=Lines())
    for triggered in ((), ("DeploymentTag",)):
        report = a_report(SUITE, triggered=triggered)
        reports.publish(report, judge(report, SUITE), SUITE)
    (found,) = cluster.all(CONFIG_MAPS)

    assert "Failed" in found["data"]["report.html"]


def test_a_page_that_cannot_be_written_keeps_no_verdict_waiting(writes: Writes, cluster: ClusterSimulator) -> None:
    lines = Lines()
    report = a_report(SUITE)
    cluster.faults.append(("PATCH", "configmaps", 403))

    assert Reports(writes, namespace=NAMESPACE, logs=lines).publish(report, judge(report, SUITE), SUITE) == ""
    assert lines.lines[0][0] == "report-not-written"
