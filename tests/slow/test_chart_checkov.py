"""checkov over the rendered chart: clean, but for what tests/assets/checkov.yaml lists with a reason each."""

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from tests.support.chart import text
from tests.support.checkov import Failure, failures

pytestmark = pytest.mark.slow

EXCEPTIONS = yaml.safe_load((Path(__file__).parent.parent / "assets" / "checkov.yaml").read_text())
VARIANTS = ("defaults", "everything")


@cache
def found(variant: str) -> tuple[int, tuple[Failure, ...]]:
    with TemporaryDirectory() as folder:
        return failures(text(variant), Path(folder))


def excepted(failure: Failure) -> bool:
    return any(
        entry["check"] == failure.check and any(fnmatchcase(failure.resource, pattern) for pattern in entry["resources"])
        for entry in EXCEPTIONS
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_found_that_is_not_excepted_with_a_reason(variant: str) -> None:
    passed, failed = found(variant)

    assert passed > 300
    assert [failure for failure in failed if not excepted(failure)] == []


def test_every_exception_is_still_needed_and_says_why() -> None:
    failed = [failure for variant in VARIANTS for failure in found(variant)[1]]

    for entry in EXCEPTIONS:
        assert len(entry["reason"]) > 40, entry
        for pattern in entry["resources"]:
            assert any(each.check == entry["check"] and fnmatchcase(each.resource, pattern) for each in failed), (entry, pattern)


def test_a_privileged_container_would_be_found(tmp_path: Path) -> None:
    spoilt = text("defaults").replace("privileged: false", "privileged: true", 1)

    _, failed = failures(spoilt, tmp_path)

    assert [failure for failure in failed if failure.check == "CKV_K8S_16"]
