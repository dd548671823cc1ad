"""Name and content and loader role together; scopes, bounds and errors of the source."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.cli.sample_model import safetensors_bytes
from modeltrust.domain import limits
from modeltrust.domain.errors import NotFoundError, UnavailableError
from modeltrust.domain.evidence import Severity
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION
from modeltrust.formats.inspect import Inspection, inspect
from modeltrust.wiring.rules import load_rules
from tests.support.models import MemoryModel
from tests.support.repositories import PICKLE, clean_files, edited, sharded, tensor, to_json
from tests.support.safetensors_cases import small_zip

RULES = load_rules()


def look(files: dict[str, bytes]) -> Inspection:
    model = MemoryModel(files)
    return inspect(model.list(), model, RULES)


def found(files: dict[str, bytes]) -> set[str]:
    return {finding.rule for finding in look(files).report.findings}


def loadable(path: str, data: bytes = PICKLE, base: dict[str, bytes] | None = None) -> bool:
    formats = look({**(clean_files() if base is None else base), path: data}).report.formats
    return next(weights.loadable for weights in formats if weights.name != "Safetensors")


def test_pickle_beside_preferred_weights_is_listed_and_not_loadable() -> None:
    assert not loadable("pytorch_model.bin")
    assert not loadable("original/consolidated.00.pth")
    assert not loadable("onnx/model.onnx", b"x")


def test_pickle_instead_of_preferred_weights_is_loadable() -> None:
    assert loadable("pytorch_model.bin", base={})
    assert loadable("adapter_model.bin")
    assert loadable("unet/diffusion_pytorch_model.bin")
    assert loadable("original/consolidated.00.pth", base={"silero.safetensors": clean_files()["model.safetensors"]})
    assert loadable("elsewhere/weights.bin")


def test_weights_are_listed_whatever_their_format() -> None:
    assert set(look({**clean_files(), "a.onnx": b"x", "b.bin": PICKLE}).weights) == {"model.safetensors", "a.onnx", "b.bin"}


@pytest.mark.parametrize(
    ("path", "data", "rule"),
    [
        ("tokenizer.pt", b"\x7fELF" + bytes(60), "files.native-code"),
        ("weights.npy", b"PK\x03\x04", None),
        ("weights.h5", b"GGUF", "files.content"),
        ("figure.jpg", b"no picture", "files.content"),
        ("model.safetensors", small_zip(), "files.content"),
        ("notes.txt", b"\x1f\x8b\x08\x00", "files.archive"),
        ("notes.txt", b"caf\xe9 and more text", "files.text"),
        ("notes.txt", b"x" * 511 + "é".encode(), None),
        ("chat_template.jinja", b"\0", "files.text"),
        ("model.sig", b"{}", None),
        (".cache/huggingface/download/model.lock", b"", None),
        ("tokenizer.model", b"\x0a\x05\x0a\x03abc", None),
        ("model.safetensors.index.fp16.json", b"[]", "index.shape"),
        ("deep.json", b"[" * 100 + b"]" * 100, "files.too-large"),
        ("adapter_config.json", b"[1]", "files.json"),
    ],
)
def test_content_must_agree_with_the_name(path: str, data: bytes, rule: str | None) -> None:
    rules = found({**clean_files(), path: data})
    assert rule in rules if rule else rules == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_map": None},
        {"auto_map": {}},
        {"trust_remote_code": False},
        {"attn_implementation": "sdpa"},
        {"transformers_weights": "model.safetensors"},
        {"quantization_config": {"modules_to_not_convert": ["model.layers.0"], "bits": 4}},
        {"activation_function": "gelu_new"},
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        {"vocab_file": "vocab.txt"},
        {"deep": [{"list": [1, None, "!python"]}]},
    ],
)
def test_ordinary_configuration_passes(changes: dict[str, Any]) -> None:
    assert found(edited("config.json", **changes)) == set()


@pytest.mark.parametrize(
    ("name", "document", "rule"),
    [
        ("config.json", {"a": [{"auto_map": {"AutoModel": "m.M"}}]}, "config.auto_map"),
        ("config.json", {"trust_remote_code": "false"}, "config.trust_remote_code"),
        ("config.json", {"__class__": None}, "config.construct"),
        ("config.json", {"x": ["!!python/object:os.getenv"]}, "config.construct"),
        ("config.json", {"transformers_weights": ["a"]}, "config.transformers_weights"),
        ("config.json", {"transformers_weights": "absent.safetensors"}, "config.transformers_weights"),
        ("config.json", {"vocab_file": "C:x"}, "tokenizer_config.file"),
        ("config.json", {"fast_tokenizer_files": ["../x"]}, "tokenizer_config.file"),
        ("config.json", {"activation_fn": "torch.hub.load"}, "sentence_transformers.activation"),
        ("modules.json", [{"path": 3, "type": "sentence_transformers.x"}], "modules.path"),
        ("modules.json", [{"path": "", "type": "sentence_transformers.x; import os"}], "modules.type"),
        ("model_index.json", {"_class_name": "P", "unet": ["diffusers", "a.b"]}, "model_index.library"),
    ],
)
def test_key_and_value_are_matched_at_every_depth(name: str, document: Any, rule: str) -> None:
    assert rule in found({**clean_files(), name: to_json(document)})


def test_ordinary_model_index_passes() -> None:
    document = {"_class_name": "P", "unet": ["diffusers", "U"], "checker": [None, None], "flag": False, "sizes": [1, 2]}
    assert found({**clean_files(), "model_index.json": to_json(document)}) == set()


def test_adapter_whose_base_is_pinned_passes() -> None:
    files = {
        "adapter_config.json": to_json({"base_model_name_or_path": "a/b", "revision": "b" * 40}),
        "adapter_model.safetensors": safetensors_bytes({"lora": tensor()}),
    }
    assert found(files) == set()


@pytest.mark.parametrize(
    "chat_template",
    [
        [{"name": "default", "template": "{{ messages }}"}, {"name": "tool_use", "template": "{{ tools }}"}],
        {"default": "{{ messages }}"},
    ],
)
def test_lists_and_maps_of_templates_are_read(chat_template: Any) -> None:
    assert found(edited("tokenizer_config.json", chat_template=chat_template)) == set()


@pytest.mark.parametrize("chat_template", [[7], [{"name": "x"}], [{"template": "x"}], {"x": None}])
def test_template_that_is_no_text_is_refused(chat_template: Any) -> None:
    assert "template.syntax" in found(edited("tokenizer_config.json", chat_template=chat_template))


@pytest.mark.parametrize("name", ["processor_config.json", "chat_template.json", "video/chat_template.jinja", "extra.jinja"])
def test_every_source_of_templates_is_judged(name: str) -> None:
    source = "{{ x.__class__ }}"
    assert "template.attribute" in found(
        {**clean_files(), name: source.encode() if "jinja" in name else to_json({"chat_template": source})}
    )


def test_equal_templates_in_two_sources_are_no_shadowing() -> None:
    source = json.loads(clean_files()["tokenizer_config.json"])["chat_template"]
    assert found({**clean_files(), "chat_template.jinja": source.encode()}) == set()


def test_more_templates_than_the_bound_are_refused() -> None:
    chat_template = [{"name": f"t{number}", "template": "x"} for number in range(limits.TEMPLATES_PER_MODEL + 1)]
    assert "template.too-large" in found(edited("tokenizer_config.json", chat_template=chat_template))


def test_tensor_in_two_shards_is_found() -> None:
    shard = "model-00002-of-00002.safetensors"
    assert "index.wrong-shard" in found({**sharded(), shard: safetensors_bytes({"a": tensor(), "b": tensor()})})


def test_configuration_that_does_not_fit_the_weights_is_a_warning() -> None:
    assert found(edited("config.json", vocab_size=500)) == {"safetensors.plausible"}
    assert found(edited("config.json", torch_dtype="bfloat16")) == {"safetensors.plausible"}


@pytest.mark.parametrize("path", ["x" * 2_000 + ".md", "a/" * 40 + "b.md", "/etc/x.md", "a\\b.md", "a\nb.md"])
def test_path_that_is_not_canonical_is_refused_and_never_read(path: str) -> None:
    model = MemoryModel({**clean_files(), path: b"x"})
    assert "names.path" in {finding.rule for finding in inspect(model.list(), model, RULES).report.findings}
    assert path not in {read for read, _, _ in model.reads}


class Failing(MemoryModel):
    """A source that does not answer."""

    def read(self, path: str, start: int, length: int) -> bytes:
        raise UnavailableError(f"{path} {start} {length}")


def test_source_that_does_not_answer_is_not_read_as_anything() -> None:
    model = Failing(clean_files())
    with pytest.raises(UnavailableError):
        inspect(model.list(), model, RULES)


def test_file_that_is_listed_and_not_there_is_an_error_of_the_source() -> None:
    with pytest.raises(NotFoundError):
        inspect(MemoryModel({"config.json": b"{}"}).list(), MemoryModel({}), RULES)


@pytest.mark.parametrize(("size", "path"), [(-1, "a.json"), (50, "a.json"), (50, "a.jinja"), (50, "tokenizer.model")])
def test_size_that_is_not_true_is_a_finding(size: int, path: str) -> None:
    listing = SourceListing(None, NO_REVISION, (FileEntry(path, size),))
    rules = {finding.rule for finding in inspect(listing, MemoryModel({path: b"{}"}), RULES).report.findings}
    assert "files.content" in rules


def test_findings_are_bounded_errors_first_and_the_rest_is_counted() -> None:
    files = {f"{number:05}.xyz": b"" for number in range(limits.FINDINGS_PER_MODEL + 50)}
    report = look({**files, **edited("config.json", num_hidden_layers=7)}).report
    assert len(report.findings) == limits.FINDINGS_PER_MODEL
    assert {finding.severity for finding in report.findings} == {Severity.ERROR}
    assert report.omitted == 51


VALUES = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
JSON_BYTES = st.dictionaries(st.sampled_from(["model", "chat_template", "weight_map", "eos_token_id", "vocab_size"]), VALUES).map(
    to_json
)
PATHS = st.sampled_from([*clean_files(), "model.gguf", "x.jinja", "modules.json", "model.safetensors.index.json"])


@given(st.dictionaries(PATHS, st.binary(max_size=40) | JSON_BYTES))
@settings(max_examples=50, deadline=None)
def test_no_foreign_bytes_raise_anything(files: dict[str, bytes]) -> None:
    look(files)
