"""Label selectors and globs, from what is written to what decides."""

from collections.abc import Iterable

from modeltrust.api.v1alpha1.fields import Selector
from modeltrust.domain.globs import Glob
from modeltrust.policy.policy import LabelSelector


def compile_selector(selector: Selector | None) -> LabelSelector | None:
    """A label selector; None stays None."""
    if selector is None:
        return None
    return LabelSelector(
        match_labels=tuple(sorted((selector.match_labels or {}).items())),
        expressions=tuple((e.key, e.operator, tuple(e.values or ())) for e in selector.match_expressions or ()),
    )


def globs(patterns: Iterable[str], *, fold_case: bool = False) -> tuple[Glob, ...]:
    """Compiled patterns; ``fold_case`` for deny-lists."""
    return tuple(Glob(pattern, fold_case=fold_case) for pattern in patterns)
