"""One decision, many doors: every case and every example gets the same answer from each (design/architecture.md, idea 4)."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from modeltrust.api.compile import compile_signer
from modeltrust.policy.policy import Namespace
from tests.support import api_objects as objects
from tests.support import fast_yaml, trusted
from tests.support.cases import Case, all_cases, statement_of, suites_of
from tests.support.doors import Asked, by_admission, by_command_line, by_judge, by_webhook, write_trust
from tests.support.example_models import ExampleModels
from tests.support.reviews import COMMIT
from tests.support.statements import NOW
from tests.support.trust import TEAM_A

POLICIES = Path(__file__).parent.parent.parent / "policies"
STATEMENTS = tuple(ExampleModels(POLICIES, NOW).statements())


def _of_case(case: Case) -> Asked:
    signers = tuple(compile_signer(obj) for obj in case.trust if obj["kind"] == "TrustedSigner")
    statements = () if case.statement is None else (statement_of(case.statement, signers, suites_of(case.trust)),)
    return Asked(case.name, case.workload, case.trust, TEAM_A, statements)


def _of_example(path: Path) -> Asked:
    example = path.parent.parent
    trust = [obj for file in sorted((example / "trust").glob("*.yaml")) for obj in fast_yaml.load_all(file.read_bytes())]
    namespace = Namespace("prod", MappingProxyType({"modeltrust.dev/tier": example.name}))
    name = f"{example.name}/{path.parent.name}/{path.stem}"
    text = path.read_text()
    known = tuple(statement for statement in STATEMENTS if statement.identity.reference.path in text)
    return Asked(name, fast_yaml.load(text), tuple(trust), namespace, known)


def _of_mapping(name: str, model: Any) -> Asked:
    """An object of a kind that a mapping alone knows."""
    mapping = objects.mapping()
    mapping["spec"]["refs"][0] |= {"uriProfile": "KServe"}
    mapping["spec"]["tests"] = [{"object": _connector("hf://acme/guard"), "expect": ["hf://acme/guard"]}]
    namespace = Namespace("team-a", MappingProxyType({"modeltrust.dev/tier": "prod"}))
    trust = (trusted.policy(), trusted.signer(), mapping)
    return Asked(f"mapping/{name}", _connector(model), trust, namespace, (trusted.statement(trusted.GUARD),))


def _connector(model: Any) -> dict[str, Any]:
    steps = [{"internalService": {"config": {"MODEL_ID": model}}}]
    metadata = {"name": "x", "namespace": "team-a"}
    return {**objects.CONNECTOR, "metadata": metadata, "spec": {"nodes": {"root": {"steps": steps}}}}


MAPPED = [
    _of_mapping("signed", f"hf://acme/guard-7b:{COMMIT}"),
    _of_mapping("not-pinned", "hf://acme/guard-7b"),
    _of_mapping("another-owner", f"hf://evil/guard-7b:{COMMIT}"),
    _of_mapping("not-known-yet", f"hf://acme/other:{COMMIT}"),
    _of_mapping("computed", "$(MODEL)"),
    _of_mapping("no-text", [f"hf://acme/guard-7b:{COMMIT}"]),
]
ASKED = [
    *map(_of_case, all_cases()),
    *MAPPED,
    *(_of_example(path) for path in sorted(POLICIES.glob("*/good/*.yaml")) + sorted(POLICIES.glob("*/bad/*.yaml"))),
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_every_door_gives_the_same_answer(asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "trust"
    folder.mkdir()
    write_trust(asked, folder)

    by_the_judge = by_judge(asked, folder)

    assert by_admission(asked, folder) == by_the_judge
    assert by_webhook(asked, folder) == by_the_judge
    assert by_command_line(asked, folder, lambda: capsys.readouterr().out) == by_the_judge


def test_a_mapping_is_what_denies_and_what_admits(tmp_path: Path) -> None:
    outcomes = {asked.name: by_judge(asked, tmp_path).outcome for asked in MAPPED}

    assert outcomes == {
        "mapping/signed": "admit",
        "mapping/not-pinned": "deny",
        "mapping/another-owner": "deny",
        "mapping/not-known-yet": "pending",
        "mapping/computed": "deny",
        "mapping/no-text": "deny",
    }


def test_the_doors_are_asked_about_admissions_and_denials_alike(tmp_path: Path) -> None:
    outcomes = [by_judge(asked, tmp_path).outcome for asked in ASKED]

    assert len(outcomes) >= 40
    assert {"admit", "pending", "deny"} <= set(outcomes)
    assert outcomes.count("deny") > outcomes.count("admit")
