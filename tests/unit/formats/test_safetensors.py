"""The strict safetensors validator against the 65 cases, the reference library and its own rules."""

import array
import json
import struct
from collections.abc import Callable
from functools import partial

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.evidence import Severity
from modeltrust.formats.headers import RefusedError, _parse_any, _parse_usual
from modeltrust.formats.safetensors import Checked, check_safetensors
from modeltrust.wiring.rules import load_rules
from tests.support.safetensors_cases import CASES, DATA, TWO, HeaderCase, mutants, of_length, one, pack, small_zip, tar_shaped

RULES = load_rules()


def check(data: bytes) -> Checked:
    return check_safetensors(lambda start, length: data[start : start + length], len(data))


def errors(checked: Checked) -> list[str]:
    return [problem.rule for problem in checked.problems if RULES.rules[problem.rule].severity is Severity.ERROR]


def reference_accepts(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # the library has no annotations
    except safetensors.SafetensorError:
        return False
    return True


def test_there_are_65_cases_as_the_facts_count_them() -> None:
    kinds = [(case.verdict, case.reference) for case in CASES]
    assert len(CASES) == 65
    assert [kinds.count(kind) for kind in (("admit", True), ("warn", True), ("refuse", True), ("refuse", False))] == [5, 6, 19, 35]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_header_case_gets_the_verdict_stated_in_the_facts(case: HeaderCase) -> None:
    data = case.build()
    checked = check(data)
    assert (checked.header is None) == (case.verdict == "refuse")
    assert bool(errors(checked)) == (case.verdict == "refuse")
    assert [problem.rule for problem in checked.problems] == ([case.rule] if case.rule else [])


@pytest.mark.parametrize("case", [case for case in CASES if "67,324" not in case.name], ids=lambda case: case.name)
def test_reference_library_says_what_the_facts_say_of_it(case: HeaderCase) -> None:
    assert reference_accepts(case.build()) == case.reference


def test_nothing_that_the_reference_refuses_is_accepted_among_2000_mutants() -> None:
    accepted = 0
    for mutant in mutants(2_000, seed=1):
        if check(mutant).header is not None:
            accepted += 1
            assert reference_accepts(mutant), mutant
    assert accepted > 50, "the mutants must reach the end of the validator"


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_no_bytes_raise_anything(data: bytes) -> None:
    check(data)
    assert check(struct.pack("<Q", len(data)) + data).header is None


JSON = st.none() | st.integers() | st.lists(st.integers(), max_size=3) | st.text(max_size=3)


@given(st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), JSON))
@settings(max_examples=50)
def test_no_json_header_raises_anything(header: dict[str, object]) -> None:
    data = pack(header, b"")
    assert check(data).header is None or reference_accepts(data)


def test_the_two_ways_of_reading_a_header_agree() -> None:
    compared = 0
    for mutant in mutants(2_000, seed=2):
        text = mutant[8:].decode("utf-8", "replace").partition("}}")[0] + "}}"
        usual = outcome(partial(_parse_usual, text))
        if usual is not None:
            compared += 1
            assert usual == outcome(partial(_parse_any, text.encode()))
    assert compared > 200


def outcome(parse: Callable[[], object]) -> object:
    try:
        return parse()
    except RefusedError:
        return "refused"


def test_header_beyond_the_cap_is_refused_without_reading_it() -> None:
    reads: list[int] = []

    def read(start: int, length: int) -> bytes:
        reads.append(length)
        return struct.pack("<Q", limits.SAFETENSORS_HEADER_BYTES + 3)[start : start + length]

    assert errors(check_safetensors(read, 10**9)) == ["safetensors.size"]
    assert reads == [8]


def test_tensors_are_never_read() -> None:
    size = 300_000
    data = pack(one(shape=[size], data_offsets=[0, size]), bytes(size))
    read_bytes = 0

    def read(start: int, length: int) -> bytes:
        nonlocal read_bytes
        read_bytes += length
        return data[start : start + length]

    assert check_safetensors(read, len(data)).header is not None
    assert read_bytes < limits.SAFETENSORS_TAIL_BYTES + 2_000


def test_errors_of_the_source_pass_through() -> None:
    def read(start: int, length: int) -> bytes:
        raise UnavailableError(f"no answer at {start}, {length}")

    with pytest.raises(UnavailableError):
        check_safetensors(read, 100)


def test_source_that_returns_less_than_it_lists_is_a_finding() -> None:
    data = pack(TWO)
    assert errors(check_safetensors(lambda start, length: data[start : start + length - 1], len(data))) == ["safetensors.size"]


def test_zip_directory_before_the_window_is_found_with_one_more_read() -> None:
    archive = small_zip()
    entry = archive.index(b"PK\x01\x02")
    comment = b"c" * 60_000  # moves the directory out of the last 65,557 bytes
    directory = archive[entry:-22].replace(b"PK\x01\x02", b"PK\x01\x02", 1) + comment
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), 0, 0)
    body = directory + end + b"z" * 60_000
    data = pack(one(shape=[len(body)], data_offsets=[0, len(body)]), body)
    assert errors(check(data)) == ["safetensors.zip"]


def test_zip64_locator_is_an_archive_whatever_the_record_says() -> None:
    body = b"x" * 16 + b"PK\x06\x07" + bytes(16) + b"PK\x05\x06" + b"\xff" * 18
    assert errors(check(pack(one(shape=[len(body)], data_offsets=[0, len(body)]), body))) == ["safetensors.zip"]


def test_more_end_records_than_chance_explains_are_refused() -> None:
    body = b"PK\x05\x06\0\0" * (limits.ZIP_END_RECORDS + 2) + bytes(30)
    assert errors(check(pack(one(shape=[len(body)], data_offsets=[0, len(body)]), body))) == ["safetensors.zip"]


def test_tar_with_a_wrong_checksum_is_a_plain_file() -> None:
    assert check(tar_shaped(b"0000001 ")).header is not None
    assert check(tar_shaped(b"notocta ")).header is not None


@pytest.mark.parametrize("metadata", [{"_target_": "os.system"}, {"k": "os.system(1)"}, {"k": '{"__class__": 1}'}])
def test_metadata_that_names_something_to_call_is_refused(metadata: dict[str, str]) -> None:
    assert errors(check(pack({"__metadata__": metadata, **TWO}))) == ["safetensors.metadata-code"]


@pytest.mark.parametrize("value", ["https://example.test/x", "package.module.Class"])
def test_metadata_with_links_and_import_paths_is_a_warning(value: str) -> None:
    checked = check(pack({"__metadata__": {"k": value}, **TWO}))
    assert checked.header is not None
    assert [problem.rule for problem in checked.problems] == ["safetensors.metadata-link"]


def test_metadata_format_outside_the_list_is_refused() -> None:
    assert errors(check(pack({"__metadata__": {"format": "pickle"}, **TWO}))) == ["safetensors.metadata-format"]


def test_metadata_beyond_the_cap_is_refused() -> None:
    text = "x" * (limits.SAFETENSORS_METADATA_BYTES + 1)
    assert errors(check(pack({"__metadata__": {"k": text}, **TWO}))) == ["safetensors.metadata"]


def test_more_tensors_than_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SAFETENSORS_TENSORS", 1)
    assert errors(check(pack(TWO))) == ["safetensors.too-many-tensors"]


def test_header_above_ten_megabytes_is_a_warning() -> None:
    rules = [problem.rule for problem in check(pack(json.dumps(TWO, separators=(",", ":")) + " " * 10_000_000)).problems]
    assert rules == ["safetensors.padding", "safetensors.large-header"]


def test_integers_beyond_what_json_readers_agree_on_are_refused() -> None:
    assert errors(check(pack(one(shape=[10**17])))) == ["safetensors.json"]
    assert errors(check(pack(one(shape=[2**53])))) == ["safetensors.entry"]


def test_what_the_library_writes_is_admitted() -> None:
    memory = array.array("B", DATA)  # the library reads the data at its address
    tensor = safetensors.TensorSpec(dtype="float32", shape=[3], data_ptr=memory.buffer_info()[0], data_len=len(DATA))
    data = bytes(safetensors.serialize({"w": tensor}, {"format": "pt"}))
    checked = check(data)
    assert checked.problems == ()
    assert checked.header is not None
    assert checked.header.tensors["w"].shape == (3,)
    assert checked.header.metadata == {"format": "pt"}


def test_odd_lengths_that_are_no_signature_are_admitted() -> None:
    assert check(of_length(641)).problems == ()
