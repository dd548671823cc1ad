"""The unit tests inside the chart pass, and each suite notices when what it is about is gone."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.helm import CHART, helm, unit_tests

pytestmark = pytest.mark.slow


def test_they_pass() -> None:
    result = unit_tests()

    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"^Tests: +(\d+) passed, (\d+) total$", result.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) == int(passed[2]) >= 30


@pytest.mark.parametrize(
    ("file", "before", "after", "suite"),
    [
        ("templates/webhook/configuration.yaml", 'ternary "Fail" "Ignore"', 'ternary "Ignore" "Ignore"', "admission_test"),
        ("templates/checks.yaml", 'list "default" "kube-system"', 'list "kube-system"', "refusals_test"),
        ("templates/certificates.yaml", "rotationPolicy: Never", "rotationPolicy: Always", "certificates_test"),
        ("files/guards.yaml", "failurePolicy: Fail", "failurePolicy: Ignore", "guards_test"),
        ("values.schema.json", '"additionalProperties": false', '"additionalProperties": true', "refusals_test"),
    ],
)
def test_they_fail_where_the_chart_is_spoilt(tmp_path: Path, file: str, before: str, after: str, suite: str) -> None:
    chart = shutil.copytree(CHART, tmp_path / "chart")
    text = (chart / file).read_text()
    assert before in text
    (chart / file).write_text(text.replace(before, after))

    result = unit_tests(chart)

    assert result.returncode != 0
    assert re.search(rf"FAIL .*{suite}\.yaml", result.stdout)


@pytest.mark.parametrize("major", [3, 4], ids=lambda major: f"helm {major}")
def test_they_are_not_in_the_package(tmp_path: Path, major: int) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path), major=major)

    (package,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path)
    assert (tmp_path / "modeltrust" / "templates" / "tests" / "denial.yaml").exists()
    assert not (tmp_path / "modeltrust" / "tests").exists()
