import json
from pathlib import Path

import pytest

from modeltrust.cli.main import main
from modeltrust.domain.reasons import Reason
from tests.support import api_objects as objects
from tests.support.api_objects import changed
from tests.support.command_line import BRANCH, PINNED, CommandLine, pod
from tests.support.statements import COMMIT
from tests.unit.cli.shapes import COUNT, TEXT, array, closed, validate

REFERENCE = closed(
    raw=TEXT,
    canonical=TEXT,
    role={"enum": ["base", "adapter", "draft", "tokenizer", "code", "config", "projector", "repository", "image", "unknown"]},
    revision={"type": ["string", "null"], "minLength": 1},
    revisionState={"enum": ["commit", "digest", "tag", "none", "live", "opaque"]},
    locator={"type": "string", "pattern": "^/"},
    confidence={"enum": ["declared", "derived", "inferred"]},
    resolver=closed(endpoint={"type": ["string", "null"]}, hub={"type": ["string", "null"]}),
)
FINDING = closed(reason={"enum": [reason.value for reason in Reason]}, locator=TEXT, message=TEXT, value=TEXT)
REFS = closed(
    version={"const": 1},
    objects=array(
        closed(
            file=TEXT,
            index=COUNT,
            apiVersion=TEXT,
            kind=TEXT,
            namespace=TEXT,
            name=TEXT,
            references=array(REFERENCE),
            findings=array(FINDING),
        )
    ),
)
NAMELESS = ["$(cat /etc/model-name)"]


def test_the_json_of_refs_has_the_shape_that_is_documented(command_line: CommandLine) -> None:
    elsewhere = pod(BRANCH)
    elsewhere["spec"]["containers"][0]["env"][0]["value"] = "https://hub.acme.example"
    command_line.write("list.json", {"apiVersion": "v1", "kind": "List", "items": [pod(PINNED), elsewhere, pod(NAMELESS)]})

    ran = command_line("refs", "list.json", "-o", "json")

    validate(ran.document, REFS)
    assert (ran.code, ran.err) == (0, "")
    pinned, floating, nameless = ran.document["objects"]
    assert pinned["references"] == [
        {
            "raw": "acme/guard-7b",
            "canonical": "hf://acme/guard-7b",
            "role": "base",
            "revision": COMMIT,
            "revisionState": "commit",
            "locator": "/spec/containers/0/args/0",
            "confidence": "declared",
            "resolver": {"endpoint": None, "hub": "huggingface"},
        }
    ]
    assert (floating["index"], floating["references"][0]["revisionState"]) == (1, "tag")
    assert floating["references"][0]["resolver"]["endpoint"] == "https://hub.acme.example"
    assert [finding["reason"] for finding in nameless["findings"]] == ["UnresolvedReference"]


def test_the_text_of_refs_is_a_line_for_people_and_its_place(command_line: CommandLine) -> None:
    command_line.write("pod.json", pod(PINNED))

    lines = command_line("refs", "pod.json").out.splitlines()

    assert lines[0] == "Pod team-a/guard  pod.json:1"
    assert lines[1].split() == ["base", f"hf://acme/guard-7b@{COMMIT}", "(commit,", "declared)"]
    assert lines[2].strip() == "/spec/containers/0/args/0"
    assert lines[-1] == "1 object, 1 reference, 0 findings"


def test_standard_input_is_read_for_a_dash(command_line: CommandLine) -> None:
    for arguments in (("-",), ("-f", "-")):
        assert command_line("refs", *arguments, "-o", "json", stdin=json.dumps(pod())).document["objects"][0]["file"] == "-"


def test_nothing_loaded_is_nothing_to_check(command_line: CommandLine) -> None:
    command_line.write("map.json", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})

    assert command_line("refs", "map.json").code == 3


def test_the_namespace_is_the_one_that_the_api_server_would_choose(command_line: CommandLine) -> None:
    command_line.write("pod.json", pod(namespace=None))

    def namespace(*arguments: str) -> str:
        (found,) = command_line("refs", "pod.json", "-o", "json", *arguments).document["objects"]
        return str(found["namespace"])

    assert namespace() == "default"
    assert namespace("--set-namespace", "team-b") == "team-b"


def test_documents_inside_strings_are_read(command_line: CommandLine) -> None:
    serve = "applications: [{args: {llm_configs: [{model_loading_config: {model_source: acme/guard-7b}}]}}]"
    ray = {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "r"}, "spec": {"serveConfigV2": serve}}
    command_line.write("ray.json", ray)
    (found,) = command_line("refs", "ray.json", "-o", "json").document["objects"]
    assert [each["canonical"] for each in found["references"]] == ["hf://acme/guard-7b"]
    assert not found["findings"]


def test_m5_a_presigned_url_is_shown_without_its_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "X-Amz-Signature=0123456789abcdef"
    service = f"""apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: guard}}
spec: {{predictor: {{model: {{modelFormat: {{name: x}}, storageUri: "https://bucket.example/model.tar?{secret}"}}}}}}
"""
    (tmp_path / "service.yaml").write_text(service)

    main(["refs", str(tmp_path / "service.yaml"), "-o", "json"])
    main(["refs", str(tmp_path / "service.yaml")])

    said = capsys.readouterr().out
    assert "bucket.example" in said
    assert secret not in said


def test_a_mapping_in_the_trust_is_how_a_kind_is_read(command_line: CommandLine) -> None:
    command_line.write("connector.json", objects.CONNECTOR | {"metadata": {"name": "x"}})
    command_line.write("mapping.json", objects.mapping())

    ran = command_line("refs", "connector.json", "--trust", "mapping.json", "-o", "json")

    validate(ran.document, REFS)
    (entry,) = ran.document["objects"]
    assert [found["canonical"] for found in entry["references"]] == ["hf://acme/guard"]


def test_a_mapping_that_cannot_be_used_is_bad_input_and_says_why(command_line: CommandLine) -> None:
    broken = changed(objects.mapping(), "spec.tests", [{"object": objects.CONNECTOR, "expect": ["hf://acme/another"]}])
    command_line.write("connector.json", objects.CONNECTOR | {"metadata": {"name": "x"}})
    command_line.write("mapping.json", broken)

    for command in ("refs", "check"):
        ran = command_line(command, "connector.json", "--trust", "mapping.json")
        assert (ran.code, ran.out) == (2, "")
        assert 'mappings gmc: spec.tests[0].expect[0]: got "hf://acme/guard", expected "hf://acme/another"' in ran.err
