from collections.abc import Mapping

import pytest

from modeltrust.domain.globs import Glob
from modeltrust.policy.policy import LabelSelector, Match, Namespace
from tests.support.trust import GUARD

PROD = LabelSelector((("modeltrust.dev/tier", "prod"),))


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (PROD, {"modeltrust.dev/tier": "prod", "x": "y"}, True),
        (PROD, {"modeltrust.dev/tier": "dev"}, False),
        (PROD, {}, False),
        (LabelSelector(), {"modeltrust.dev/tier": "prod"}, False),
        (LabelSelector(expressions=(("t", "In", ("a", "b")),)), {"t": "b"}, True),
        (LabelSelector(expressions=(("t", "In", ("a", "b")),)), {"t": "c"}, False),
        (LabelSelector(expressions=(("t", "In", ("a", "b")),)), {}, False),
        (LabelSelector(expressions=(("t", "NotIn", ("a",)),)), {"t": "b"}, True),
        (LabelSelector(expressions=(("t", "NotIn", ("a",)),)), {}, True),
        (LabelSelector(expressions=(("t", "NotIn", ("a",)),)), {"t": "a"}, False),
        (LabelSelector(expressions=(("t", "Exists", ()),)), {"t": ""}, True),
        (LabelSelector(expressions=(("t", "Exists", ()),)), {}, False),
        (LabelSelector(expressions=(("t", "DoesNotExist", ()),)), {}, True),
        (LabelSelector(expressions=(("t", "DoesNotExist", ()),)), {"t": ""}, False),
        (LabelSelector(expressions=(("t", "Near", ("a",)),)), {"t": "a"}, False),
        (LabelSelector((("a", "1"),), (("t", "Exists", ()),)), {"a": "1"}, False),
    ],
)
def test_a_label_selector_means_what_kubernetes_says_except_that_empty_is_nothing(
    selector: LabelSelector,
    labels: Mapping[str, str],
    matches: bool,  # noqa: FBT001 - a column
) -> None:
    assert selector.matches(labels) is matches


NAMED = Match(frozenset({"team-a"}), models=(Glob("**"),))
SELECTED = Match(selector=PROD, models=(Glob("**"),))
CLUSTER = Match(cluster_scoped=True, models=(Glob("**"),))


@pytest.mark.parametrize(
    ("match", "namespace", "covered"),
    [
        (NAMED, Namespace("team-a", {}), True),
        (NAMED, Namespace("team-a"), True),
        (NAMED, Namespace("team-b", {}), False),
        (NAMED, Namespace("team-b"), False),
        (NAMED, Namespace("", {}), False),
        (SELECTED, Namespace("team-a", {"modeltrust.dev/tier": "prod"}), True),
        (SELECTED, Namespace("team-a", {}), False),
        (SELECTED, Namespace("team-a"), True),
        (SELECTED, Namespace(""), False),
        (CLUSTER, Namespace(""), True),
        (CLUSTER, Namespace("team-a"), False),
        (Match(everything=True), Namespace("team-b", {}), True),
        (Match(everything=True), Namespace("", {}), True),
        (Match(), Namespace("team-a"), False),
        (Match(), Namespace("", {}), False),
    ],
)
def test_unknown_labels_match_every_selector_and_cluster_scoped_objects_match_only_on_request(
    match: Match,
    namespace: Namespace,
    covered: bool,  # noqa: FBT001 - a column
) -> None:
    assert match.namespace(namespace) is covered


@pytest.mark.parametrize(
    ("pattern", "text", "key", "covered"),
    [
        ("hf://acme/*", "hf://acme/guard-7b", GUARD, True),
        ("hf://acme/*", "hf://Acme/Guard", "hf://Acme/Guard@main", True),
        ("hf://ACME/*", "hf://acme/guard-7b", GUARD, True),
        ("**", "s3://evil/model", "s3://evil/model", True),
        ("hf://acme/*@main", "hf://acme/guard-7b", "hf://acme/guard-7b@main", True),
        ("hf://acme/*@main", "hf://acme/guard-7b", GUARD, False),
        ("hf://acme/*", "s3://evil/model", "s3://evil/model", False),
        ("hf://acme/*", "hf+https://hub.evil.example/acme/guard-7b", "hf+https://hub.evil.example/acme/guard-7b@main", False),
    ],
)
def test_a_match_folds_case_so_that_no_spelling_escapes_every_policy(pattern: str, text: str, key: str, covered: bool) -> None:  # noqa: FBT001 - a column
    assert Match(models=(Glob(pattern),)).model(text, key) is covered


def test_a_match_without_models_covers_none_and_an_unreadable_one_covers_all() -> None:
    assert not Match().model(GUARD, GUARD)
    assert Match(everything=True).model(GUARD, GUARD)
