"""The chart under both majors of helm: the same text every time, every refusal's sentence, and notes that are true."""

import base64
from pathlib import Path

import pytest
import yaml

from tests.support.chart import BUNDLE, CERT_MANAGER, DIGEST, VARIANTS, Object, text
from tests.support.helm import CHART, NAMESPACE, HelmError, helm, objects, template

pytestmark = pytest.mark.slow

TWICE = base64.b64encode(BUNDLE.encode()).decode()
ONE_SECRET = {"mode": "provided", "caBundle": BUNDLE, "workerSecret": "modeltrust-webhook-tls"}
every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_major = pytest.mark.parametrize("major", [3, 4], ids=lambda major: f"helm {major}")


@every_variant
@every_major
def test_f99_twice_is_byte_identical_and_every_name_is_there_once(variant: str, major: int) -> None:
    first = text(variant, major=major)

    assert text(variant, major=major) == first
    names = [(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in objects(first)]
    assert sorted(set(names)) == sorted(names)


@every_variant
def test_both_majors_of_helm_render_the_same(variant: str) -> None:
    """But for empty lines and the order of kinds."""
    assert _sorted(text(variant, major=3)) == _sorted(text(variant, major=4))


def _sorted(rendered: str) -> list[Object]:
    found = objects(rendered)
    return sorted(found, key=lambda each: (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]))


@every_variant
@every_major
def test_helm_lint_has_nothing_to_say(variant: str, major: int, tmp_path: Path) -> None:
    values, flags = VARIANTS[variant]
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    if flags:
        pytest.skip("helm lint knows no --api-versions")

    result = helm("lint", str(CHART), "--strict", "--namespace", NAMESPACE, "--values", str(tmp_path / "values.yaml"), major=major)

    assert "0 chart(s) failed" in result.stdout
    assert "[WARNING]" not in result.stdout


@pytest.mark.parametrize(
    ("values", "namespace", "sentence"),
    [
        ({}, "default", "modeltrust needs a namespace of its own"),
        ({}, "kube-system", "modeltrust needs a namespace of its own"),
        ({"jobs": {"namespace": NAMESPACE}}, NAMESPACE, "must not stand beside the signing key"),
        ({"jobs": {"monitoredNamespaces": ["serving", "kube-system"]}}, NAMESPACE, "nothing there is asked by our Jobs"),
        ({"jobs": {"monitoredNamespaces": [NAMESPACE]}}, NAMESPACE, "nothing there is asked by our Jobs"),
        ({"jobs": {"namespace": "kube-system"}}, NAMESPACE, "expected a namespace of its own"),
        ({"certificates": {"mode": "certManager"}}, NAMESPACE, "install cert-manager first"),
        ({"certificates": {"mode": "provided"}}, NAMESPACE, "without certificates.caBundle"),
        ({"certificates": {"mode": "provided", "caBundle": "Y2E="}}, NAMESPACE, "holds no certificate"),
        ({"certificates": {"mode": "provided", "caBundle": TWICE}}, NAMESPACE, "holds no certificate"),
        ({"certificates": {"caBundle": BUNDLE}}, NAMESPACE, "would be ignored"),
        ({"certificates": {"certManager": {"issuerRef": {"kind": "ClusterIssuer"}}}}, NAMESPACE, "would be ignored"),
        ({"certificates": ONE_SECRET}, NAMESPACE, "name one Secret twice"),
        ({"webhook": {"podLabels": {"app.kubernetes.io/component": "x"}}}, NAMESPACE, "webhook.podLabels sets app.kubernetes.io"),
        ({"monitoring": {"dashboard": {"labels": {"helm.sh/chart": "x"}}}}, NAMESPACE, "dashboard.labels sets helm.sh/chart"),
        ({"certificates": {"certManager": {"issuerRef": {"name": "x"}}}}, NAMESPACE, "would be ignored"),
        ({"certificates": {"webhookSecret": "mine"}}, NAMESPACE, "expected their default names"),
        ({"verifyAtLoad": {"inject": True}}, NAMESPACE, "needs image.digest"),
        ({"verifyAtLoad": {"inject": True}, "image": {"digest": DIGEST}, "mode": "Disabled"}, NAMESPACE, "nobody would be asked"),
        ({"monitoring": {"serviceMonitor": {"enabled": True}}}, NAMESPACE, "install the Prometheus operator first"),
        ({"monitoring": {"prometheusRule": {"enabled": True}}}, NAMESPACE, "install the Prometheus operator first"),
        ({"replicaz": 3}, NAMESPACE, "replicaz"),
        ({"webhook": {"replicaz": 3}}, NAMESPACE, "replicaz"),
        ({"webhook": {"replicas": 1}}, NAMESPACE, "minimum"),
        ({"mode": "enforce"}, NAMESPACE, "must be one of"),
    ],
)
@every_major
def test_f100_what_would_not_work_is_refused_with_a_sentence(major: int, values: Object, namespace: str, sentence: str) -> None:
    with pytest.raises(HelmError, match=sentence):
        template(values, namespace=namespace, major=major)


@every_major
def test_an_issuer_without_a_name_is_refused(major: int) -> None:
    values = {"certificates": {"mode": "certManager", "certManager": {"issuerRef": {"kind": "ClusterIssuer"}}}}

    with pytest.raises(HelmError, match="names no issuer"):
        template(values, *CERT_MANAGER, major=major)


def notes(*flags: str) -> str:
    release = ("install", "modeltrust", str(CHART), "--namespace", NAMESPACE)
    return helm(*release, "--dry-run=client", *flags).stdout.partition("NOTES:")[2]


@pytest.mark.parametrize(
    ("flags", "said", "unsaid"),
    [
        ((), ["Nothing is denied yet", "helm test modeltrust", "mode=FailOpen"], ["FailOpen: namespaces"]),
        (("--set", "unmatched=Deny"), ["every model that no enforcing policy covers is denied"], ["Nothing is denied yet"]),
        (("--set", "mode=Disabled"), ["asks nobody"], ["Nothing is denied yet", "helm test"]),
        (("--set", "mode=FailOpen"), ["are NOT held"], []),
        (("--set", "guards.enabled=false"), ["can switch modeltrust off"], []),
        (("--set", "crds.enabled=false"), ["the kinds must be there already"], []),
        (("--set", "networkPolicies.enabled=false"), ["everything else is open"], []),
    ],
)
def test_the_notes_say_what_is_so_and_what_to_do_next(flags: tuple[str, ...], said: list[str], unsaid: list[str]) -> None:
    text = " ".join(notes(*flags).split())

    for sentence in said:
        assert sentence in text
    for sentence in unsaid:
        assert sentence not in text
