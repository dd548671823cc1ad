"""Commands in our documents: each is run by a test, or says why by nobody; what can be read without running is right."""

import itertools
import re
import shlex
from typing import Any

import jsonschema
import pytest
import yaml

from modeltrust.api.compile import check_object
from modeltrust.api.v1alpha1.kinds import KINDS
from tests.support import trusted
from tests.support.documents import DOCUMENTS, ROOT, Block, blocks
from tests.unit.chart.test_values import SCHEMA

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
PROGRAMS = {"docker", "helm", "kubectl", "make", "modeltrust"}
every_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")


def test_most_commands_are_run() -> None:
    run = sum(len(block.commands) for block in BLOCKS if block.mark == "")
    shown = sum(len(block.commands) for block in BLOCKS if block.mark == "shown")

    assert run >= 30
    assert shown <= run / 4


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_hides_in_a_fence_without_a_language(document: Any) -> None:
    fences = re.findall(r"^```(.*)$", document.read_text(), re.MULTILINE)
    for opening in fences[::2]:
        assert opening, f"{document.name}: a fence without a language"


@every_block
def test_every_program_is_one_that_the_reader_has(block: Block) -> None:
    for command in block.commands:
        assert command.split()[0] in PROGRAMS, command


@every_block
def test_every_value_that_is_set_is_a_value_of_the_chart(block: Block) -> None:
    for command in block.commands:
        if not command.startswith("helm "):
            continue
        words = shlex.split(command)
        for flag, word in itertools.pairwise(words):
            if flag == "--set":
                name, _, text = word.partition("=")
                value: Any = yaml.safe_load(text) if name != "image.tag" else text
                place = SCHEMA
                for part in name.split("."):
                    assert part in place["properties"], name
                    place = place["properties"][part]
                if "…" not in text:
                    jsonschema.Draft7Validator(place).validate(value)


@every_block
def test_every_file_that_a_command_reads_exists(block: Block) -> None:
    for command in block.commands:
        for word in shlex.split(command):
            if re.match(r"^(charts|policies|docs|crds)/", word):
                assert (ROOT / word).exists(), word


@every_block
def test_every_object_that_is_applied_is_accepted_by_our_own_compiler(block: Block) -> None:
    for text in re.findall(r"<<'EOF'\n(.*?)^EOF$", block.text, re.MULTILINE | re.DOTALL):
        for value in yaml.safe_load_all(text):
            assert value["kind"] in {kind.name for kind in KINDS.values()}
            check_object(value, trusted.EXTRACTOR)


def test_what_the_readme_says_about_installing_is_what_the_pages_say_that_a_node_runs() -> None:
    run = {command for block in BLOCKS if block.mark != "shown" for command in block.commands}
    (install,) = blocks(ROOT / "README.md")
    assert set(install.commands) <= run
