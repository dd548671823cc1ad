import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.cli.pinning import Pinner
from modeltrust.domain.errors import InvalidInputError, UnavailableError
from modeltrust.domain.reference import Revision, RevisionState
from modeltrust.domain.workload import FoundReference
from modeltrust.references.extract import Extractor
from modeltrust.wiring.rows import load_tables, load_yaml
from tests.support import api_objects as objects
from tests.support.command_line import NOW, CommandLine, Ran
from tests.support.statements import COMMIT

DIGEST = "sha256:" + "ab" * 32
EXTRACTOR = Extractor(load_tables(), load_yaml)
POD = """\
apiVersion: v1
kind: Pod  # the one we serve with
metadata: {name: guard, namespace: team-a}
spec:
  containers:
  - name: vllm
    image: vllm/vllm-openai:v0.11.0
    command: [vllm, serve]
    %s
    env: [{name: HF_ENDPOINT, value: https://huggingface.co}]
"""
KSERVE = """\
# café ☕
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name:   guard
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      storageUri: %s   # pin me
"""


def known(found: FoundReference) -> Revision:
    if found.reference.scheme == "oci":
        return Revision(RevisionState.DIGEST, DIGEST)
    return Revision(RevisionState.COMMIT, COMMIT)


def pinned(text: str) -> str:
    done = Pinner(EXTRACTOR, known).pin(text.encode(), "x.yaml")
    assert [pin.why for pin in done.pins if pin.why] == []
    return done.after.decode()


def changes(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("args: [acme/guard-7b, --revision, main]", f"args: [acme/guard-7b, --revision, {COMMIT}]"),
        ("args: [acme/guard-7b, --revision=main]", f"args: [acme/guard-7b, --revision={COMMIT}]"),
        ("args: [acme/guard-7b]", f"args: [acme/guard-7b, --revision={COMMIT}]"),
        ('args: ["acme/guard-7b"]', f'args: ["acme/guard-7b", "--revision={COMMIT}"]'),
        ("args: ['--model', 'acme/guard-7b']  # x", f"args: ['--model', 'acme/guard-7b', '--revision={COMMIT}']  # x"),
        ("args: [--model=acme/guard-7b]", f"args: [--model=acme/guard-7b, --revision={COMMIT}]"),
        ("args: [acme/guard-7b, --revision, 'refs/pr/1']", f"args: [acme/guard-7b, --revision, '{COMMIT}']"),
        (
            "args:\n    - acme/guard-7b  # the model\n    - --dtype=auto",
            f"args:\n    - acme/guard-7b  # the model\n    - --revision={COMMIT}\n    - --dtype=auto",
        ),
        (
            "args:\n    - acme/guard-7b\n    - --revision\n    - main  # moves",
            f"args:\n    - acme/guard-7b\n    - --revision\n    - {COMMIT}  # moves",
        ),
    ],
)
def test_a_flag_is_written_where_the_engine_reads_it_and_nothing_else_changes(args: str, expected: str) -> None:
    assert pinned(POD % args) == POD % expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://acme/guard-7b", f"hf://acme/guard-7b:{COMMIT}"),
        ("hf://acme/guard-7b:main", f"hf://acme/guard-7b:{COMMIT}"),
        ("'hf://acme/guard-7b:main'", f"'hf://acme/guard-7b:{COMMIT}'"),
        ('"hf://acme/guard-7b"', f'"hf://acme/guard-7b:{COMMIT}"'),
        ("oci://registry.acme.example/guard:v1", f"oci://registry.acme.example/guard@{DIGEST}"),
    ],
)
def test_a_storage_uri_is_pinned_in_its_own_grammar_behind_comments_and_foreign_letters(uri: str, expected: str) -> None:
    assert pinned(KSERVE % uri) == KSERVE % expected


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_and_byte_order_marks_stay(mark: str, ending: str) -> None:
    text = mark + (POD % "args:\n    - acme/guard-7b").replace("\n", ending)
    after = pinned(text)
    assert after == mark + (POD % f"args:\n    - acme/guard-7b\n    - --revision={COMMIT}").replace("\n", ending)


def test_json_stays_json() -> None:
    document = yaml.safe_load(POD % "args: [acme/guard-7b]")
    text = json.dumps(document, indent=2)
    after = pinned(text)
    assert json.loads(after)["spec"]["containers"][0]["args"] == ["acme/guard-7b", f"--revision={COMMIT}"]
    assert changes(text, after) == [
        '-           "acme/guard-7b"',
        '+           "acme/guard-7b",',
        f'+           "--revision={COMMIT}"',
    ]


def test_several_documents_are_each_pinned() -> None:
    text = "---\n".join([POD % "args: [acme/guard-7b]", KSERVE % "hf://acme/guard-7b"])
    assert pinned(text).count(COMMIT) == 2


def test_what_is_pinned_already_is_not_touched() -> None:
    text = KSERVE % f"hf://acme/guard-7b:{COMMIT}"
    done = Pinner(EXTRACTOR, known).pin(text.encode(), "x.yaml")
    assert (done.after.decode(), done.pins, done.references) == (text, [], 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KSERVE % "s3://bucket/model", "no revisions that stay"),
        (KSERVE % "&a hf://acme/guard-7b" + "---\n" + KSERVE % "pvc://claim/model", "no revisions that stay"),
        (KSERVE % "https://example.com/m", "no revisions"),
    ],
)
def test_what_cannot_be_pinned_is_said_and_stays(text: str, why: str) -> None:
    done = Pinner(EXTRACTOR, known).pin(text.encode(), "x.yaml")
    assert [pin for pin in done.pins if why in pin.why], done.pins


def test_what_two_containers_share_by_an_anchor_is_pinned_for_both() -> None:
    text = POD % "args: &a [acme/guard-7b]" + "  - {name: b, image: vllm/vllm-openai:v1, command: [vllm, serve], args: *a}\n"
    after = yaml.safe_load(pinned(text))
    assert [container["args"] for container in after["spec"]["containers"]] == [["acme/guard-7b", f"--revision={COMMIT}"]] * 2


def test_a_program_without_such_an_option_is_not_given_one() -> None:
    text = (POD % "args: [-hf, acme/guard-7b]").replace("vllm, serve", "llama-server").replace("vllm/vllm-openai", "llama.cpp")
    done = Pinner(EXTRACTOR, known).pin(text.encode(), "x.yaml")
    assert done.after.decode() == text
    assert [pin.why for pin in done.pins] == ["it cannot be written there in place"]


def test_a_resolver_that_does_not_answer_leaves_the_file_as_it_is() -> None:
    def silent(found: FoundReference) -> Revision:
        raise UnavailableError(f"no answer about {found.reference}")

    text = KSERVE % "hf://acme/guard-7b"
    done = Pinner(EXTRACTOR, silent).pin(text.encode(), "x.yaml")
    assert done.after.decode() == text
    assert [(pin.unknown, pin.revision) for pin in done.pins] == [(True, "")]


def test_a_revision_that_is_none_is_never_written() -> None:
    text = KSERVE % "hf://acme/guard-7b"
    done = Pinner(EXTRACTOR, lambda _: Revision(RevisionState.TAG, "main")).pin(text.encode(), "x.yaml")
    assert done.after.decode() == text


_WORDS = st.text("abé#:-'\"\\ {}[],&*!|>%@`\t", max_size=12)


@settings(max_examples=60, deadline=None)
@given(name=_WORDS, style=st.sampled_from(["'", '"', None, "|", ">"]), flow=st.booleans(), comment=_WORDS)
def test_whatever_stands_around_it_only_the_reference_changes(name: str, style: str | None, comment: str, *, flow: bool) -> None:
    document = yaml.safe_load(KSERVE % "hf://acme/guard-7b")
    document["metadata"] = {"name": "x", "annotations": {"note": name}}
    dumped = yaml.safe_dump(document, default_flow_style=flow, default_style=style, allow_unicode=True, width=10_000)
    text = f"# {comment.replace(chr(9), ' ')}\n{dumped}"
    try:
        done = Pinner(EXTRACTOR, known).pin(text.encode(), "x.yaml")
    except InvalidInputError:
        return
    if done.pins[0].revision:
        document["spec"]["predictor"]["model"]["storageUri"] = f"hf://acme/guard-7b:{COMMIT}"
        assert yaml.safe_load(done.after) == document
        assert done.after.decode().replace(f":{COMMIT}", "") == text
    else:
        assert done.after.decode() == text


# --- the command ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pin(command_line: CommandLine) -> Any:
    command_line.trust()

    def _pin(*arguments: str | Path, **more: Any) -> Ran:
        return command_line("pin", "--trust", "trust", "--now", NOW, *arguments, **more)

    return _pin


def test_a_file_is_pinned_to_the_commit_attested_last_with_its_mode_and_through_links(pin: Any, command_line: CommandLine) -> None:
    path = command_line.write("x.yaml", KSERVE % "hf://acme/guard-7b")
    path.chmod(0o640)
    (command_line.folder / "link.yaml").symlink_to("x.yaml")
    ran = pin("link.yaml")
    assert ran.code == 0
    assert path.read_text() == KSERVE % f"hf://acme/guard-7b:{COMMIT}"
    assert oct(path.stat().st_mode)[-3:] == "640"
    assert (command_line.folder / "link.yaml").is_symlink()
    assert f"pinned to {COMMIT}" in ran.out


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_check_and_diff_write_nothing(option: str, pin: Any, command_line: CommandLine) -> None:
    path = command_line.write("x.yaml", KSERVE % "hf://acme/guard-7b")
    ran = pin("x.yaml", option)
    assert path.read_text() == KSERVE % "hf://acme/guard-7b"
    assert ran.code == (11 if option == "--check" else 0)
    if option == "--diff":
        assert f"+      storageUri: hf://acme/guard-7b:{COMMIT}   # pin me\n" in ran.out


def test_standard_input_is_printed_and_nothing_else_is(pin: Any) -> None:
    ran = pin("-", stdin=KSERVE % "hf://acme/guard-7b")
    assert ran.out == KSERVE % f"hf://acme/guard-7b:{COMMIT}"
    assert f"pinned to {COMMIT}" in ran.err


def test_the_json_names_each_pin(pin: Any, command_line: CommandLine) -> None:
    command_line.write("x.yaml", KSERVE % "hf://acme/guard-7b:main")
    (file,) = pin("x.yaml", "-o", "json").document["files"]
    assert file["changed"]
    (entry,) = file["pins"]
    assert (entry["line"], entry["before"], entry["revision"]) == (10, "main", COMMIT)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (KSERVE % "hf://other/model", 11),
        (KSERVE % "s3://bucket/model", 11),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", 3),
        ("no manifest", 2),
        ("a: [", 2),
    ],
)
def test_what_cannot_be_pinned_has_its_exit_code(content: str, code: int, pin: Any, command_line: CommandLine) -> None:
    path = command_line.write("x.yaml", content)
    ran = pin("x.yaml")
    assert ran.code == code
    assert path.read_text() == content


def test_one_file_that_is_none_keeps_all_from_being_written(pin: Any, command_line: CommandLine) -> None:
    path = command_line.write("a.yaml", KSERVE % "hf://acme/guard-7b")
    command_line.write("b.yaml", "a: [")
    assert pin("a.yaml", "b.yaml").code == 2
    assert path.read_text() == KSERVE % "hf://acme/guard-7b"


def test_a_field_that_a_mapping_teaches_is_named_and_not_passed_over(command_line: CommandLine) -> None:
    command_line.trust()
    connector = {**objects.CONNECTOR, "metadata": {"name": "x", "namespace": "team-a"}}
    command_line.write("connector.json", connector)
    command_line.write("trust/mapping.json", objects.mapping())

    ran = command_line("pin", "connector.json", "--trust", "trust", "--now", NOW, "--check")

    assert ran.code != 0
    assert "hf://acme/guard" in ran.out + ran.err
