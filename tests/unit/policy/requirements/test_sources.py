import pytest

from modeltrust.domain.decision import Status
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.policy.requirements.sources import Sources
from tests.support.trust import GUARD, a_found, a_trust

HUB = (Glob("hf://acme/*"), Glob("oci://registry.acme.example/**"))


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        (HUB, GUARD),
        (HUB, "hf://acme/guard-7b@main"),
        (HUB, "oci://registry.acme.example/a/b/c@v1"),
        ((Glob("hf://acme/*@*"),), GUARD),
        ((Glob(GUARD),), GUARD),
        ((Glob("hf+https://hub.acme.example/**"),), "hf+https://hub.acme.example/acme/guard"),
    ],
)
def test_an_allowed_source_passes(patterns: tuple[Glob, ...], text: str) -> None:
    (finding,) = Sources(patterns).check(a_found(text), a_trust())
    assert (finding.requirement, finding.status) == ("sources", Status.PASS)


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        (HUB, "hf://evil/guard-7b"),
        (HUB, "hf://Acme/guard-7b"),
        (HUB, "hf://acme-evil/guard-7b"),
        (HUB, "hf+https://hub.evil.example/acme/guard-7b"),
        (HUB, "oci://registry.acme.example.evil.example/guard"),
        (HUB, "s3://acme/guard-7b"),
        ((Glob("hf://acme/*@*"),), "hf://acme/guard-7b"),
        ((Glob(GUARD),), "hf://acme/guard-7b@main"),
        ((), GUARD),
    ],
)
def test_any_other_source_is_not_allowed(patterns: tuple[Glob, ...], text: str) -> None:
    (finding,) = Sources(patterns).check(a_found(text), a_trust())
    assert (finding.status, finding.reason) == (Status.FAIL, Reason.SOURCE_NOT_ALLOWED)
    assert finding.fix


def test_the_message_shows_a_few_patterns_and_counts_the_rest() -> None:
    patterns = tuple(Glob(f"hf://acme-{number}/*") for number in range(5))
    (finding,) = Sources(patterns).check(a_found(GUARD), a_trust())
    assert finding.message == ('is from no allowed source, expected "hf://acme-0/*", "hf://acme-1/*", "hf://acme-2/*" and 2 more')
