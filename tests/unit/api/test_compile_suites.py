import copy
from decimal import Decimal
from typing import Any, get_args

import pytest

from modeltrust.api.compile import check_object, compile_suite
from modeltrust.api.v1alpha1.evaluation_suite import Probes
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.reference import parse_identity
from modeltrust.wiring.bank import load_bank
from tests.support import trusted

IMAGE = "registry.acme.example/vllm@sha256:" + "1" * 64
BASE = parse_identity("hf://acme/base@" + "1" * 40)
OBJECT: dict[str, Any] = {
    "apiVersion": "modeltrust.dev/v1alpha1",
    "kind": "EvaluationSuite",
    "metadata": {"name": "canary"},
    "spec": {
        "probes": {"families": ["DeploymentTag", "Date"], "perFamily": 32},
        "decision": {"alpha": "0.01", "margin": "0.05"},
        "baseline": {"from": "Lineage"},
        "serving": {"engine": "VLLM", "image": IMAGE, "args": ["--max-model-len", "2048"]},
        "runtime": {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "queueName": "gpu"},
        "reprobe": {"schedule": "0 3 * * *", "onAlarm": "DenyNew"},
    },
}


def an_object(**spec: Any) -> dict[str, Any]:
    value = copy.deepcopy(OBJECT)
    value["spec"] |= spec
    return value


def a_hash(value: dict[str, Any], *, bank: str = "b" * 64, prompts: str = "", baseline: bool = True) -> str:
    return compile_suite(value).suite(bank=bank, prompts=prompts, baseline=BASE if baseline else None).hash


def test_everything_that_was_written_arrives() -> None:
    suite = compile_suite(OBJECT)

    assert (suite.families, suite.per_stratum, suite.alpha) == (("DeploymentTag", "Date"), 32, Decimal("0.01"))
    assert (suite.engine, suite.image, suite.arguments) == ("VLLM", IMAGE, ("--max-model-len", "2048"))
    assert (suite.placement.queue, suite.schedule, suite.deny_on_alarm) == ("gpu", "0 3 * * *", True)
    assert suite.baseline is None


@pytest.mark.parametrize(
    "spec",
    [
        {"probes": {"families": ["DeploymentTag"], "perFamily": 32}},
        {"probes": {"families": ["DeploymentTag", "Date"], "perFamily": 16}},
        {"decision": {"alpha": "0.02", "margin": "0.05"}},
        {"decision": {"alpha": "0.01", "margin": "0.06"}},
        {"serving": {"engine": "LlamaCpp", "image": IMAGE, "args": ["--max-model-len", "2048"]}},
        {"serving": {"engine": "VLLM", "image": IMAGE.replace("1", "2")}},
        {"serving": {"engine": "VLLM", "image": IMAGE, "args": ["--max-model-len", "4096"]}},
        {"serving": {"engine": "External"}},
        {"serving": {"engine": "VLLM", "image": IMAGE, "args": ["--max-model-len", "2048"], "userTurn": {"prefix": "<|user|>"}}},
    ],
)
def test_h15_whatever_decides_is_in_the_hash(spec: dict[str, Any]) -> None:
    assert a_hash(an_object(**spec)) != a_hash(OBJECT)
    assert compile_suite(an_object(**spec)).spec_hash != compile_suite(OBJECT).spec_hash


TURN = {"engine": "VLLM", "image": IMAGE, "args": ["--max-model-len", "2048"], "userTurn": {"prefix": "<|user|>", "end": "<|end|>"}}


def test_h15_how_a_turn_ends_is_in_both_hashes_and_a_suite_that_does_not_mine_has_the_hash_that_it_had() -> None:
    whole, open_ended = an_object(serving=TURN), an_object(serving=TURN | {"userTurn": {"prefix": "<|user|>"}})
    assert (compile_suite(whole).user_prefix, compile_suite(whole).turn_end) == ("<|user|>", "<|end|>")
    assert len({a_hash(whole), a_hash(open_ended), a_hash(OBJECT)}) == 3
    assert len({compile_suite(value).spec_hash for value in (whole, open_ended, OBJECT)}) == 3
    assert a_hash(OBJECT) == "8ccd870e49d208a982c39e8b9760ea33b96202306a338b5ad96dd1339435bdd1"


def test_h15_the_spec_hash_tells_apart_what_only_the_object_says() -> None:
    prompts = an_object(probes={"families": ["DeploymentTag", "Date"], "operatorPrompts": {"secretName": "one"}})
    others = an_object(probes={"families": ["DeploymentTag", "Date"], "operatorPrompts": {"secretName": "other"}})
    reference = an_object(baseline={"from": "Reference", "reference": {"model": BASE.key}})

    assert len({compile_suite(value).spec_hash for value in (OBJECT, prompts, others, reference)}) == 4
    swapped = an_object(probes={"families": ["Date", "DeploymentTag"], "perFamily": 32})
    assert compile_suite(swapped).spec_hash == compile_suite(OBJECT).spec_hash


def test_h15_bank_prompts_and_baseline_are_in_the_hash() -> None:
    assert (
        len({a_hash(OBJECT), a_hash(OBJECT, bank="c" * 64), a_hash(OBJECT, prompts="d" * 64), a_hash(OBJECT, baseline=False)}) == 4
    )


@pytest.mark.parametrize("spec", [{"runtime": {"nodeSelector": {"gpu": "a100"}}}, {"reprobe": {"schedule": "0 4 * * *"}}])
def test_where_and_when_it_runs_is_not_in_the_hash(spec: dict[str, Any]) -> None:
    assert a_hash(an_object(**spec)) == a_hash(OBJECT)
    assert compile_suite(an_object(**spec)).spec_hash == compile_suite(OBJECT).spec_hash


@pytest.mark.parametrize(
    "spec",
    [
        {"probes": {}},
        {"probes": {"families": []}},
        {"probes": {"families": ["Unknown"]}},
        {"decision": {"alpha": 0.01, "margin": "0.05"}},
        {"decision": {"alpha": "1", "margin": "0.05"}},
        {"baseline": {"from": "Reference"}},
        {"baseline": {"from": "Reference", "reference": {"model": "hf://acme/base@main"}}},
        {"serving": {"engine": "VLLM"}},
        {"serving": {"engine": "VLLM", "image": "registry.acme.example/vllm:latest"}},
        {"serving": {"engine": "External", "image": IMAGE}},
        {"serving": TURN | {"userTurn": {}}},
        {"serving": TURN | {"userTurn": {"prefix": ""}}},
        {"serving": TURN | {"userTurn": {"prefix": "x" * 241}}},
        {"serving": TURN | {"userTurn": {"prefix": "<|user|>", "end": ""}}},
        {"surprise": True},
    ],
)
def test_a_suite_that_makes_no_sense_is_refused_where_it_is_written(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="spec"):
        check_object(an_object(**spec), trusted.EXTRACTOR)


def test_a_suite_can_name_every_family_of_the_bank_and_no_other() -> None:
    annotation = Probes.model_fields["families"].annotation
    names = {word for word in str(annotation).replace("'", " ").split() if word[0].isupper()}

    assert get_args(annotation)
    assert {trigger.family for trigger in load_bank().triggers} <= names


SERVICE = {"model": BASE.key, "namespace": "team-a", "name": "guard", "port": 8000}


def test_live_servers_are_compiled_and_change_no_hash() -> None:
    watched = an_object(reprobe={"schedule": "*/30 * * * *", "services": [SERVICE, SERVICE | {"model": "hf://acme/b@" + "2" * 40}]})
    services = compile_suite(watched).services

    assert [one.model for one in services] == [BASE, parse_identity("hf://acme/b@" + "2" * 40)]
    assert (services[0].url, services[0].served_name) == ("http://guard.team-a.svc:8000", "model")
    assert a_hash(watched) == a_hash(OBJECT)


@pytest.mark.parametrize(
    "reprobe",
    [
        {"schedule": "61 3 * * *"},
        {"schedule": "0 3 * * ?"},
        {"schedule": "0 3 * FOO *"},
        {"schedule": "0 3 * * *", "services": []},
        {"schedule": "0 3 * * *", "services": [SERVICE, SERVICE]},
        {"schedule": "0 3 * * *", "services": [SERVICE | {"name": "evil.example.com/x"}]},
        {"schedule": "0 3 * * *", "services": [SERVICE | {"namespace": "a.b"}]},
        {"schedule": "0 3 * * *", "services": [SERVICE | {"port": 0}]},
        {"schedule": "0 3 * * *", "services": [SERVICE | {"model": "hf://acme/base@main"}]},
        {"schedule": "0 3 * * *", "onAlarm": "Quarantine"},
    ],
)
def test_a_schedule_or_server_of_another_form_is_refused(reprobe: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        compile_suite(an_object(reprobe=reprobe))
