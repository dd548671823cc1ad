"""What no file shows alone: index against shards, tokenizer against weights, template against template, folder by folder."""

from collections.abc import Iterator, Mapping
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.contents import Content
from modeltrust.formats.gguf import templates_of
from modeltrust.formats.headers import Tensor
from modeltrust.formats.plausibility import check_plausible, embedding
from modeltrust.formats.rules import FileClass, Problem, Rules
from modeltrust.formats.shards import check_index, check_shards, indexed_shards
from modeltrust.formats.sidecars import check_adapter, check_generation, check_sidecar
from modeltrust.formats.templates import check_template
from modeltrust.formats.tokenizers import Companions, check_tokenizer, check_vocabulary

_ADDITIONAL = "additional_chat_templates/"
_COMPARED = frozenset({"tokenizer_config.json", "processor_config.json", "chat_template.json", "chat_template.jinja"})

Found = Iterator[tuple[str, Problem]]


def check_relations(contents: Mapping[str, Content], classes: Mapping[str, FileClass], rules: Rules) -> Found:
    """Judge the files of a model against each other.

    Args:
        contents: what was read, by path.
        classes: class of every file, by path.
        rules: the tables.

    Yields:
        (path, problem).
    """
    yield from _check_documents(contents, classes, rules)
    yield from _check_weights(contents, classes)
    for folder in sorted({path.rpartition("/")[0] for path in contents}):
        yield from _check_folder(folder + "/" if folder else "", contents)
    yield from _check_templates(contents, classes, rules)


def _check_documents(contents: Mapping[str, Content], classes: Mapping[str, FileClass], rules: Rules) -> Found:
    paths = classes.keys()
    for path, content in contents.items():
        row = classes[path]
        if row.format != "json" or content.document is None:
            continue
        for problem in check_sidecar(row.document, content.document, paths, rules):
            yield path, problem
        if row.document == "vocabulary":
            for problem in check_vocabulary(content.document):
                yield path, problem


def _check_weights(contents: Mapping[str, Content], classes: Mapping[str, FileClass]) -> Found:
    headers = {path: content.header for path, content in contents.items() if classes[path].format == "safetensors"}
    indexed: set[str] = set()
    for path, content in contents.items():
        if classes[path].document == "index":
            indexed |= indexed_shards(path, content.document)
            for problem in check_index(path, content.document, headers, classes.keys()):
                yield path, problem
    yield from check_shards({path for path, row in classes.items() if row.format == "safetensors"}, indexed)


def _check_folder(folder: str, contents: Mapping[str, Content]) -> Found:
    def document(name: str) -> Any:
        content = contents.get(folder + name)
        return None if content is None else content.document

    config = document("config.json")
    tensors = _tensors(folder, contents)
    if f"{folder}config.json" in contents:
        for problem in check_plausible(config, tensors):
            yield f"{folder}config.json", problem
    if document("adapter_config.json") is not None:
        for problem in check_adapter(document("adapter_config.json"), has_config=f"{folder}config.json" in contents):
            yield f"{folder}adapter_config.json", problem
    for problem in check_generation(document("generation_config.json"), config):
        yield f"{folder}generation_config.json", problem
    if document("tokenizer.json") is not None:
        companions = _companions(document("tokenizer_config.json"), document("special_tokens_map.json"), config, tensors)
        for problem in check_tokenizer(document("tokenizer.json"), companions):
            yield f"{folder}tokenizer.json", problem


def _tensors(folder: str, contents: Mapping[str, Content]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path, content in contents.items():
        if content.header is not None and path.rpartition("/")[0] == folder.rstrip("/") and "adapter" not in path:
            tensors.update(content.header.tensors)
    return tensors


def _companions(tokenizer_config: Any, special: Any, config: Any, tensors: Mapping[str, Tensor]) -> Companions:
    stated = config.get("vocab_size") if isinstance(config, dict) else None
    found = embedding(tensors)
    return Companions(tokenizer_config, special, stated if type(stated) is int else None, found[1].shape[0] if found else None)


# --- templates: every source that a loader reads ---


def _check_templates(contents: Mapping[str, Content], classes: Mapping[str, FileClass], rules: Rules) -> Found:
    sources: dict[tuple[str, str], dict[str, object]] = {}
    judged = 0
    for path, content in contents.items():
        for name, source in _sources(path, content, classes[path]):
            judged += 1
            if judged > limits.TEMPLATES_PER_MODEL:
                yield path, Problem("template.too-large", f"got more than {limits.TEMPLATES_PER_MODEL} chat templates")
                return
            for problem in _judge(source, rules):
                yield path, problem
            place = _place(path, name)
            if place is not None:
                sources.setdefault(place, {})[path] = source
    yield from _check_shadowing(sources)


def _sources(path: str, content: Content, row: FileClass) -> Iterator[tuple[str, object]]:
    if row.format == "jinja" and content.text is not None:
        stem = path.rpartition("/")[2].rpartition(".")[0]
        yield ("default" if stem == "chat_template" else stem), content.text
    elif row.format == "gguf":
        yield from templates_of(content.metadata).items()
    elif isinstance(content.document, dict) and row.document not in {"tokenizer", "vocabulary"}:
        yield from _stated(content.document.get("chat_template"))


def _stated(value: object) -> Iterator[tuple[str, object]]:
    """Templates in a JSON document: a string, a list of {name, template}, or a map of names to templates."""
    if isinstance(value, list):
        for entry in value:
            name, source = (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
            yield (name, source) if isinstance(name, str) else ("", None)
    elif isinstance(value, dict):
        yield from value.items()
    elif value is not None:
        yield "default", value


def _judge(source: object, rules: Rules) -> Iterator[Problem]:
    if isinstance(source, str):
        yield from check_template(source, rules.templates)
    else:
        yield Problem("template.syntax", f"got a chat template of type {type(source).__name__}, expected text with a name")


def _place(path: str, name: str) -> tuple[str, str] | None:
    """The folder and name under which sources compete, None for those that no loader looks for by itself."""
    head, slash, file = path.rpartition("/")
    folder = head + slash
    if file in _COMPARED:
        return folder, name
    if folder.endswith(_ADDITIONAL) and file.endswith(".jinja"):
        return folder.removesuffix(_ADDITIONAL), name
    return None


def _check_shadowing(sources: Mapping[tuple[str, str], Mapping[str, object]]) -> Found:
    for (folder, name), found in sources.items():
        paths = sorted(found)
        if len({str(source) for source in found.values()}) > 1:
            yield (
                paths[0],
                Problem("template.shadowed", f"the template {quote(name)} differs between {' and '.join(map(quote, paths))}"),
            )
        additional = any(other == folder and _ADDITIONAL in path for (other, _), group in sources.items() for path in group)
        if additional and name == "default" and f"{folder}chat_template.jinja" not in found:
            yield (
                paths[0],
                Problem("template.shadowed", f"files in {quote(folder + _ADDITIONAL)} drop the default template of this file"),
            )
