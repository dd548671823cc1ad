from typing import Any

import pytest

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import FoundImage, Role
from modeltrust.policy.requirements.serving_image import ServingImage
from tests.support.trust import GUARD, a_found, a_trust, a_workload

DIGEST = "sha256:" + "5" * 64
GOOD = f"registry.acme.example/vllm@{DIGEST}"
ALLOWED = ServingImage((Glob("registry.acme.example/vllm@sha256:*"),))


def check(*images: str | FoundImage, requirement: ServingImage = ALLOWED, **changes: Any) -> tuple[Finding, ...]:
    found = tuple(
        FoundImage(image, f"/spec/containers/{number}/image", accelerator=True) if isinstance(image, str) else image
        for number, image in enumerate(images)
    )
    references = changes.pop("references", (GUARD,))
    workload = a_workload(*references, images=found, **({"accelerators": True} | changes))
    findings = requirement.check(workload, a_trust())
    assert all(finding.requirement == "servingImage" for finding in findings)
    return findings


@pytest.mark.parametrize("image", [GOOD, f"registry.acme.example/vllm:v0.9@{DIGEST}"])
def test_an_allowed_image_by_digest_passes_whatever_its_tag(image: str) -> None:
    assert [finding.status for finding in check(image)] == [Status.PASS]


@pytest.mark.parametrize("pattern", ["registry.acme.example:5000/**", "registry.acme.example:5000/a/vllm"])
def test_a_port_is_no_tag_and_a_pattern_may_leave_the_digest_out(pattern: str) -> None:
    requirement = ServingImage((Glob(pattern),))
    assert check(f"registry.acme.example:5000/a/vllm:v1@{DIGEST}", requirement=requirement)[0].status is Status.PASS


def test_a_short_name_is_compared_as_written() -> None:
    assert check(f"vllm:v1@{DIGEST}", requirement=ServingImage((Glob("vllm@sha256:*"),)))[0].status is Status.PASS


@pytest.mark.parametrize(
    "image",
    [
        "registry.acme.example/vllm",
        "registry.acme.example/vllm:v0.9",
        "registry.acme.example/vllm@sha256:5555",
        f"registry.acme.example/vllm@{DIGEST}@{DIGEST}",
        f"evil.example/vllm@{DIGEST}",
        f"registry.acme.example/vllm/evil@{DIGEST}",
        f"registry.acme.example/Vllm@{DIGEST}",
        f"evil.example/registry.acme.example/vllm@{DIGEST}",
        "",
    ],
)
def test_any_other_image_is_not_allowed(image: str) -> None:
    (finding,) = check(image)
    assert (finding.status, finding.reason, finding.locator) == (Status.FAIL, Reason.IMAGE_NOT_ALLOWED, "/spec/containers/0/image")
    assert "spec.containers[0].image" in finding.message


def test_nothing_allowed_allows_nothing() -> None:
    assert check(GOOD, requirement=ServingImage(()))[0].reason is Reason.IMAGE_NOT_ALLOWED


def test_each_image_that_gets_an_accelerator_is_judged() -> None:
    assert [finding.status for finding in check(GOOD, "evil.example/a", "evil.example/b")] == [Status.FAIL] * 2


def test_a_sidecar_without_accelerator_is_not_judged() -> None:
    sidecar = FoundImage("docker.io/istio/proxyv2:1.30", "/spec/containers/1/image")
    assert check(GOOD, sidecar)[0].status is Status.PASS


def test_every_image_is_judged_where_it_is_unknown_which_one_gets_the_accelerator() -> None:
    assert check(FoundImage("evil.example/a", "/spec/containers/0/image"))[0].reason is Reason.IMAGE_NOT_ALLOWED


def test_an_accelerator_on_an_image_counts_even_where_the_workload_says_none() -> None:
    assert check("evil.example/a", accelerators=False)[0].reason is Reason.IMAGE_NOT_ALLOWED


def test_a_workload_without_accelerator_is_skipped() -> None:
    assert check(FoundImage("evil.example/a", "/x"), accelerators=False)[0].status is Status.SKIP


def test_an_accelerator_without_a_model_is_denied() -> None:
    (finding,) = check(GOOD, references=())
    assert (finding.status, finding.reason) == (Status.FAIL, Reason.UNRESOLVED_REFERENCE)


@pytest.mark.parametrize("role", [Role.TOKENIZER, Role.CODE, Role.CONFIG])
def test_a_tokenizer_alone_is_no_model(role: Role) -> None:
    assert check(GOOD, references=(a_found(role=role),))[0].reason is Reason.UNRESOLVED_REFERENCE


def test_a_kind_that_states_no_image_is_judged_at_its_pods() -> None:
    assert check()[0].status is Status.PASS
