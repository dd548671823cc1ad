"""values.yaml, its schema and the files beside it, without helm: what the chart renders to is asked by tests/slow/test_chart.py."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from modeltrust.telemetry import OperatorTelemetry, Telemetry
from tests.support import fast_yaml
from tests.support.helm import CHART

Object = dict[str, Any]
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
VALUES: Object = fast_yaml.load((CHART / "values.yaml").read_text())
TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
FREE = {"global", "nodeSelector", "podAnnotations", "podLabels", "labels", "matchLabels"}  # Kubernetes' own maps


def validate(values: Object) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(values)


def places(value: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, part in value.items():
        yield (*path, key)
        if isinstance(part, dict):
            yield from places(part, (*path, key))


def changed(path: tuple[str, ...], value: Any) -> Object:
    values = copy.deepcopy(VALUES)
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return values


def test_the_defaults_obey_the_schema() -> None:
    validate(VALUES)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted({()} | {path[:-1] for path in places(VALUES) if not FREE & set(path[:-1])}), ids=".".join)
def test_f99_a_typo_is_refused_wherever_it_stands(path: tuple[str, ...]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        validate(changed((*path, "replicaz"), 2))


def closed(schema: Object, name: str = "") -> Iterator[str]:
    if schema.get("type") == "object" and name not in FREE and "properties" not in schema:
        yield name
    for key, part in schema.get("properties", {}).items():
        if part.get("type") == "object" and part.get("additionalProperties") is not False and key not in FREE:
            yield key
        yield from closed(part, key)
    if isinstance(schema.get("items"), dict) and name != "matchExpressions":
        yield from closed(schema["items"], name)


def test_every_object_of_the_schema_is_closed() -> None:
    assert list(closed(SCHEMA)) == []


def test_every_value_that_the_schema_knows_has_a_default() -> None:
    known = set(places(VALUES))
    for key, part in SCHEMA["properties"].items():
        if key == "global":
            continue
        for name in part.get("properties", {}):
            assert (key, name) in known, (key, name)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mode",), "enforce"),
        (("mode",), ""),
        (("mode",), True),
        (("unmatched",), "Ignore"),
        (("webhook", "replicas"), 1),
        (("webhook", "replicas"), "3"),
        (("operator", "replicas"), 0),
        (("webhook", "timeoutSeconds"), 30),
        (("webhook", "resources"), {"limits": {}}),
        (("webhook", "resources"), {"limits": {"memory": "lots"}}),
        (("image", "digest"), "latest"),
        (("image", "digest"), "sha256:abc"),
        (("image", "tag"), "a b"),
        (("image", "repository"), ""),
        (("image", "pullPolicy"), "Sometimes"),
        (("jobs", "namespace"), ""),
        (("jobs", "namespace"), "Jobs"),
        (("jobs", "monitoredNamespaces"), ["*"]),
        (("jobs", "monitoredNamespaces"), ["a,b"]),
        (("jobs", "monitoredNamespaces"), ["a", "a"]),
        (("jobs", "monitoredNamespaces"), "serving"),
        (("neverSent",), ["*"]),
        (("neverSent",), "kube-system"),
        (("certificates", "mode"), "helm"),
        (("certificates", "caBundle"), "-----BEGIN CERTIFICATE-----"),
        (("certificates", "certManager", "issuerRef"), {"kind": "Issuer", "nam": "x"}),
        (("ipFamily",), "dual"),
        (("networkPolicies", "apiServer", "cidrs"), ["everywhere"]),
        (("networkPolicies", "sources", "except"), ["fd00::/8"]),
        (("certificates", "certManager", "issuerRef"), {"name": "x", "kind": "clusterissuer"}),
        (("networkPolicies", "sources", "ports"), []),
        (("networkPolicies", "sources", "ports"), [0]),
        (("monitoring", "prometheusRule", "runbook"), "javascript:alert(1)"),
        (("crds",), None),
        (("verifyAtLoad", "inject"), "yes"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(path: tuple[str, ...], value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(changed(path, value))


def words(schema: Object) -> Iterator[str]:
    yield from (str(word) for word in schema.get("enum", ()))
    for part in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from words(part)


@pytest.mark.parametrize("word", sorted(set(words(SCHEMA))))
def test_no_word_of_ours_is_something_else_in_yaml(word: str) -> None:
    """``mode: Off`` without quotes is false to Helm's YAML, and would be refused with a sentence that helps nobody."""
    assert fast_yaml.load(word) == word


def test_every_default_stands_with_a_word_of_what_it_means() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    groups = re.compile(r"^\s*[a-zA-Z]+:$")
    plain = {"resources", "nodeSelector", "tolerations", "podAnnotations", "podLabels", "priorityClassName", "pullPolicy"}
    for before, line in zip(["", *lines], lines, strict=False):
        key = line.strip().split(":")[0]
        if re.match(r"^[a-z][a-zA-Z]*: \S", line) and key not in plain and not groups.match(line):
            assert "#" in line or before.lstrip().startswith("#"), line


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(CHART)))
def test_no_template_asks_the_cluster_the_clock_or_chance(path: Any) -> None:
    """GitOps renders without a cluster and compares: everything must come from the values (fault F99)."""
    calls = re.findall(
        r"{{-?[^}]*?\b(lookup|rand\w+|gen[A-Z]\w+|uuidv4|now|htpasswd|getHostByName|env|expandenv)\b", path.read_text()
    )
    assert calls == []


def expressions() -> Iterator[str]:
    rules = fast_yaml.load((CHART / "files" / "rules.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    board = json.loads((CHART / "files" / "dashboard.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    metrics = [metric for telemetry in (Telemetry(), OperatorTelemetry()) for metric in telemetry.registry.collect()]
    known = {f"{metric.name}{suffix}" for metric in metrics for suffix in ("", "_total", "_bucket")}
    for expression in expressions():
        for name in re.findall(r"\bmodeltrust_[a-z_]+", expression):
            assert name in known, f"{name} in {expression}"


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    rules = fast_yaml.load((CHART / "files" / "rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 9
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["description"].endswith(".")


by_sentence: Callable[..., Any] = pytest.mark.parametrize(
    "panel", json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
)


@by_sentence
def test_no_panel_lies_over_another(panel: Object) -> None:
    board = json.loads((CHART / "files" / "dashboard.json").read_text())
    area = panel["gridPos"]
    assert area["x"] + area["w"] <= 24
    for other in board["panels"]:
        if other["id"] != panel["id"]:
            place = other["gridPos"]
            apart = area["x"] + area["w"] <= place["x"] or place["x"] + place["w"] <= area["x"]
            assert apart or area["y"] + area["h"] <= place["y"] or place["y"] + place["h"] <= area["y"]
