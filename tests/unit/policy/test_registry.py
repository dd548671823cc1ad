import importlib
import inspect

import pytest

from modeltrust.api.compile.policies import REGISTRY
from tests.generate import GENERATORS, ROOT
from tests.generated_requirements import PACKAGE, PATH, generate, module_of

FOLDER = ROOT / "controller/modeltrust/policy/requirements"


@pytest.mark.parametrize("kind", list(REGISTRY))
def test_each_requirement_has_one_file_one_test_module_cases_and_a_heading(kind: str) -> None:
    name = module_of(kind)
    module = importlib.import_module(f"{PACKAGE}.{name}")
    assert (inspect.getdoc(module) or "").startswith(f"{kind}: ")
    assert getattr(module, kind).name == kind[0].lower() + kind[1:]
    assert (ROOT / f"tests/unit/policy/requirements/test_{name}.py").is_file()
    assert len(list((ROOT / "tests/cases" / name).glob("*/expected.yaml"))) >= 2
    assert f"\n## {kind}\n" in generate()[PATH]


def test_nothing_lies_beside_the_requirements_that_is_not_registered() -> None:
    names = {module_of(kind) for kind in REGISTRY}
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == names
    assert {path.name for path in (ROOT / "tests/cases").iterdir()} == names


def test_the_committed_document_is_the_generated_one() -> None:
    assert generate in GENERATORS
    assert (ROOT / PATH).read_text(encoding="utf-8") == generate()[PATH]
