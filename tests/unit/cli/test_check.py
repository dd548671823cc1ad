import json
from typing import Any

import pytest

from modeltrust.domain.reasons import Reason
from tests.support.command_line import BRANCH, NOW, PINNED, UNKNOWN, CommandLine, Object, pod, policy
from tests.unit.cli.shapes import COUNT, TEXT, array, closed, validate

FINDING = closed(
    policy=TEXT,
    requirement=TEXT,
    status={"enum": ["pass", "fail", "error", "pending", "skip"]},
    reason={"enum": [None, *(reason.value for reason in Reason)]},
    reference=TEXT,
    role=TEXT,
    locator={"type": "string", "pattern": "^(/|$)"},
    message=TEXT,
    fix=TEXT,
)
DECISION = closed(
    file=TEXT,
    index=COUNT,
    kind=TEXT,
    namespace=TEXT,
    name=TEXT,
    allowed={"type": "boolean"},
    outcome={"enum": ["admit", "warn", "pending", "deny", "error"]},
    findings=array(FINDING),
    warnings=array(TEXT),
)
CHECK = closed(
    version={"const": 1}, summary=closed(admitted=COUNT, denied=COUNT, pending=COUNT, errors=COUNT), decisions=array(DECISION)
)


@pytest.fixture
def check(command_line: CommandLine) -> Any:
    command_line.trust()

    def _check(*arguments: str, **more: Any) -> Any:
        return command_line("check", *arguments, "--trust", "trust", "--now", NOW, **more)

    return _check


def test_the_json_of_check_has_the_shape_that_is_documented(check: Any, command_line: CommandLine) -> None:
    for name, args in (("good", PINNED), ("bad", BRANCH), ("new", UNKNOWN)):
        command_line.write(f"{name}.json", pod(args, name=name))

    ran = check("good.json", "bad.json", "new.json", "-o", "json")

    validate(ran.document, CHECK)
    assert ran.err == ""
    assert ran.document["summary"] == {"admitted": 1, "denied": 1, "pending": 1, "errors": 0}
    assert [(d["file"], d["name"], d["outcome"], d["allowed"]) for d in ran.document["decisions"]] == [
        ("good.json", "good", "admit", True),
        ("bad.json", "bad", "deny", False),
        ("new.json", "new", "pending", False),
    ]
    assert ran.code == 11
    (finding,) = (f for f in ran.document["decisions"][1]["findings"] if f["reason"] == "UnpinnedReference")
    assert finding["policy"] == "production"
    assert finding["requirement"] == "pinned"
    assert finding["reference"] == "hf://acme/guard-7b"
    assert finding["locator"].startswith("/spec/containers/0/args/")
    assert finding["fix"].startswith("--revision ")


@pytest.mark.parametrize(
    ("spec", "args", "options", "code"),
    [
        ({}, PINNED, (), 0),
        ({}, BRANCH, (), 11),
        ({}, UNKNOWN, (), 13),
        ({"mode": "Warn"}, BRANCH, (), 0),
        ({"mode": "Warn"}, BRANCH, ("--strict",), 10),
        ({"mode": "Warn"}, PINNED, ("--strict",), 0),
        ({"mode": "Audit"}, BRANCH, ("--strict",), 0),
    ],
)
def test_each_outcome_has_its_exit_code(
    spec: Object, args: list[str], options: tuple[str, ...], code: int, command_line: CommandLine
) -> None:
    command_line.trust(policy(**spec))
    command_line.write("pod.json", pod(args))

    assert command_line("check", "pod.json", "--trust", "trust", "--now", NOW, *options).code == code


def test_what_cannot_be_decided_has_its_exit_code(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.trust()
    command_line.write("pod.json", pod())

    def failing(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("modeltrust.admission.decide.judge", failing)
    ran = command_line("check", "pod.json", "--trust", "trust", "--now", NOW, "-o", "json")

    assert (ran.code, ran.document["summary"]["errors"]) == (12, 1)


def test_a_bug_is_exit_code_1_and_one_line(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("modeltrust.cli.check.live_from_folder", failing)
    ran = command_line("check", "pod.json", "--trust", "trust")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == 'modeltrust: internal error: ZeroDivisionError: "here"; MODELTRUST_DEBUG=1 shows where\n'


def test_trust_may_be_one_file(command_line: CommandLine) -> None:
    command_line.write("policy.json", policy("production", {"type": "Pinned"}))
    for name, args in (("good", PINNED), ("bad", BRANCH)):
        command_line.write(f"{name}.json", pod(args))

    assert command_line("check", "good.json", "--trust", "policy.json").code == 0
    assert command_line("check", "bad.json", "--trust", "policy.json").code == 11


def test_the_time_of_the_judgement_can_be_given(check: Any, command_line: CommandLine) -> None:
    command_line.write("pod.json", pod())

    later = command_line("check", "pod.json", "--trust", "trust", "--now", "2027-01-01T00:00:00+01:00", "-o", "json")

    assert check("pod.json").code == 0
    assert later.code == 11
    assert "AttestationExpired" in {finding["reason"] for finding in later.document["decisions"][0]["findings"]}


@pytest.mark.parametrize("now", ["yesterday", "2027-01-01", "2027-01-01T00:00:00", ""])
def test_a_time_without_a_zone_or_that_is_none_is_refused(now: str, command_line: CommandLine) -> None:
    ran = command_line("check", "pod.json", "--trust", "trust", "--now", now)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)


def test_an_object_without_namespace_is_in_default_unless_another_is_set_or_stated(command_line: CommandLine) -> None:
    command_line.trust(policy(namespaces=("default",)), namespace="default")
    command_line.write("pod.json", pod(BRANCH, namespace=None))
    command_line.write("stated.json", pod(BRANCH, namespace="elsewhere"))

    def decided(*arguments: str) -> tuple[str, str]:
        ran = command_line("check", *arguments, "--trust", "trust", "--now", NOW, "-o", "json")
        (decision,) = ran.document["decisions"]
        return decision["namespace"], decision["outcome"]

    assert decided("pod.json") == ("default", "deny")
    assert decided("pod.json", "--set-namespace", "other") == ("other", "admit")
    assert decided("stated.json", "--set-namespace", "default") == ("elsewhere", "admit")


def test_an_object_of_a_cluster_scoped_kind_has_no_namespace(command_line: CommandLine) -> None:
    everywhere = policy(match={"clusterScoped": True, "models": ["**"]})
    command_line.trust(everywhere)
    runtime = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": "vllm"},
        "spec": {"supportedModelFormats": [{"name": "huggingface"}], "containers": pod(BRANCH)["spec"]["containers"]},
    }
    command_line.write("runtime.json", runtime)

    for more in ((), ("--set-namespace", "team-a")):
        ran = command_line("check", "runtime.json", "--trust", "trust", "--now", NOW, "-o", "json", *more)
        (decision,) = ran.document["decisions"]
        assert (decision["namespace"], decision["outcome"]) == ("", "deny")


@pytest.mark.parametrize("arguments", [("-",), ("-f", "-"), ("--filename=-",)])
def test_standard_input_is_a_file_like_any_other(arguments: tuple[str, ...], check: Any) -> None:
    ran = check(*arguments, "-o", "json", stdin=json.dumps(pod(BRANCH)))

    assert (ran.code, ran.document["decisions"][0]["file"]) == (11, "-")


def test_folders_lists_and_several_documents_are_read_as_kubectl_reads_them(check: Any, command_line: CommandLine) -> None:
    command_line.write("folder/b/list.json", {"apiVersion": "v1", "kind": "List", "items": [pod(name="a"), pod(name="b")]})
    command_line.write("folder/a.yaml", "---\n" + json.dumps(pod(name="c")) + "\n---\n" + json.dumps(pod(name="d")) + "\n")
    command_line.write("folder/notes.txt", "no manifest")

    ran = check("folder", "-o", "json")

    assert [(d["file"], d["index"], d["name"]) for d in ran.document["decisions"]] == [
        ("folder/a.yaml", 0, "c"),
        ("folder/a.yaml", 1, "d"),
        ("folder/b/list.json", 0, "a"),
        ("folder/b/list.json", 1, "b"),
    ]


def test_the_text_says_what_where_why_and_how_to_mend_it(check: Any, command_line: CommandLine) -> None:
    command_line.write("pod.json", pod(BRANCH))

    lines = check("pod.json").out.splitlines()

    assert lines[:2] == ["Pod team-a/guard  pod.json:1", "  deny"]
    assert lines[2].startswith("  [UnpinnedReference] hf://acme/guard-7b at spec.containers[0].args[0] names ")
    assert lines[2].endswith("(policy production, ask #ml-platform)")
    assert lines[3] == "    Fix: --revision <40-hex commit>"
    assert lines[-1] == "1 deny"
    assert not any("\x1b" in line for line in lines)


def test_a_model_that_fails_a_static_requirement_is_told_that_and_not_its_consequence(
    check: Any, command_line: CommandLine
) -> None:
    command_line.write("pod.json", pod(BRANCH))

    assert "NotAttested" not in check("pod.json").out
    assert "NotAttested" in check("pod.json", "-o", "json").out


def test_an_exempted_finding_is_shown_as_excused_and_is_no_problem(command_line: CommandLine) -> None:
    exemption = {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": "until-friday", "creationTimestamp": "2026-09-20T00:00:00Z"},
        "spec": {
            "policies": ["production"],
            "namespaces": ["team-a"],
            "workloads": [{"group": "", "kind": "Pod", "name": "guard"}],
            "requirements": ["Pinned"],
            "justification": "moving",
            "expirationTime": "2026-09-25T00:00:00Z",
        },
    }
    command_line.trust(policy("production", {"type": "Pinned"}), exemption)
    command_line.write("pod.json", pod(BRANCH))

    ran = command_line("check", "pod.json", "--trust", "trust", "--now", NOW)
    github = command_line("check", "pod.json", "--trust", "trust", "--now", NOW, "-o", "github")

    assert ran.code == 0, ran.out
    assert "excused by the exemption until-friday" in ran.out
    assert (github.code, github.out) == (0, "")


def test_objects_of_ours_beside_workloads_are_checked_as_the_webhook_checks_them(check: Any, command_line: CommandLine) -> None:
    command_line.write("policy.json", policy())
    command_line.write("broken.json", policy(mode="Enforcing"))
    command_line.write("pod.json", pod())

    assert check("policy.json", "pod.json").code == 0
    assert check("policy.json").code == 3
    broken = check("broken.json", "pod.json")
    assert (broken.code, broken.out) == (2, "")
    assert broken.err.startswith("modeltrust: broken.json:1: ")
    assert "mode" in broken.err
