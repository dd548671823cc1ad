"""Every object of the chart is valid, to the last field, for every Kubernetes version that Chart.yaml promises."""

import copy
import json
import re

import pytest
import yaml

from tests.support.chart import VARIANTS, Object, rendered
from tests.support.helm import CHART
from tests.support.kubernetes_schemas import VERSIONS, problems

pytestmark = pytest.mark.slow

FOREIGN = {"cert-manager.io", "monitoring.coreos.com"}  # asked of the API server with their own kinds: e2e/test_chart.py
every_version = pytest.mark.parametrize("version", VERSIONS)


def distinct() -> list[Object]:
    """Every object of every variant, once."""
    found = {json.dumps(value, sort_keys=True): value for variant in VARIANTS for value in rendered(variant)}
    return [value for value in found.values() if value["apiVersion"].split("/")[0] not in FOREIGN]


def named(kind: str) -> Object:
    return copy.deepcopy(next(value for value in rendered("everything") if value["kind"] == kind))


@every_version
def test_every_object_of_every_variant_is_valid(version: str) -> None:
    found = distinct()

    wrong = [f"{each['kind']} {each['metadata']['name']}: {why}" for each in found for why in problems(each, version)]

    assert len(found) > 60
    assert wrong == []


@every_version
def test_an_unknown_field_a_wrong_type_and_a_kind_that_is_not_there_would_be_found(version: str) -> None:
    unknown, wrong, absent = named("Deployment"), named("Service"), named("Deployment")
    unknown["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    wrong["spec"]["ports"][0]["port"] = "https"
    absent["apiVersion"] = "extensions/v1beta1"

    assert any("imagePullPolicies" in why for why in problems(unknown, version))
    assert any("ports.0.port" in why for why in problems(wrong, version))
    assert any("has no Deployment in extensions/v1beta1" in why for why in problems(absent, version))


def test_what_only_newer_versions_have_is_missed_in_the_oldest() -> None:
    policy = named("ValidatingAdmissionPolicy") | {"kind": "MutatingAdmissionPolicy"}

    assert any("has no MutatingAdmissionPolicy" in why for why in problems(policy, VERSIONS[0]))
    assert not any("has no MutatingAdmissionPolicy" in why for why in problems(policy, VERSIONS[-1]))


def test_the_oldest_version_here_is_the_one_that_the_chart_demands() -> None:
    demanded = re.fullmatch(r">=(1\.\d+)\.0-0", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])

    assert demanded is not None
    assert VERSIONS[0] == demanded[1]
