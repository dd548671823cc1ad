"""The figures over real manifests, where the data set is at hand."""

import pytest

from tests.manifest_table import measure


def test_real_manifests_are_read_well_enough() -> None:
    figures = measure()
    if figures is None:
        pytest.skip("the data set is not here")
    hits, total = figures.count("lit", "comp")
    assert hits / total >= 0.85
    assert figures.count("unres")[0] == figures.count("unres")[1]
    assert not figures.model_free
    assert not figures.crashes
    assert len(figures.false) <= 0.03 * figures.reported
