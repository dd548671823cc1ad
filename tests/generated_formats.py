"""docs/formats.md, written from the rule tables."""

from collections.abc import Iterator
from itertools import groupby

from modeltrust.formats.rules import FileClass, Rule, Rules
from modeltrust.wiring.rules import load_rules

_HEAD = """# What modeltrust looks for in a model

<!-- Written by `make generate` from controller/modeltrust/formats/rows/*.yaml. Do not edit. -->

`modeltrust inspect` and the verification of a model read its listing, the headers of its weights and its small files, never
the weights themselves. What they find is recorded as facts; the requirement Formats of a policy decides. An **error** denies, a
**warning** informs. The *scope* of a policy is `Repository` (every file) or `Loadable` (files that a loader reads by default:
transformers, diffusers, sentence-transformers, peft and vLLM prefer safetensors under a name that they know; a pickle beside it is
not loaded, a pickle instead of it is).

A file must be admissible by its name, by its content and by its role; a file that is in no table is refused. Pickle is never
parsed.
"""

_SECTIONS = {
    "repository": "The repository",
    "names": "Names and kinds of entries",
    "files": "Kinds of files",
    "safetensors": "Safetensors",
    "index": "Shards and their index",
    "config": "config.json and its siblings",
    "tokenizer_config": "tokenizer_config.json",
    "preprocessor": "Preprocessors",
    "adapter": "Adapters",
    "modules": "modules.json",
    "sentence_transformers": "Sentence transformers",
    "model_index": "model_index.json",
    "generation_config": "generation_config.json",
    "template": "Chat templates",
    "tokenizer": "Tokenizers",
    "gguf": "GGUF",
}


def generate() -> dict[str, str]:
    """The generated document: {path: text}."""
    rules = load_rules()
    return {"docs/formats.md": "\n".join([_HEAD, *_formats(rules), *_rules(rules), *_templates(rules)]) + "\n"}


def _formats(rules: Rules) -> Iterator[str]:
    yield "## Formats of weights\n"
    yield "Listed in every report, compared with `formats.allowed` of the policy. Default: Safetensors alone.\n"
    yield "| format | files | risk |\n|---|---|---|"
    for row in rules.classes:
        if row.weights:
            yield f"| {row.weights} | {_patterns(row)} | {row.risk}{f'; always refused (`{row.deny}`)' if row.deny else ''} |"
    yield "\n## Other files\n"
    yield "| format | files | |\n|---|---|---|"
    for row in rules.classes:
        if not row.weights:
            note = f"refused (`{row.deny}`)" if row.deny else "read by no loader" if not row.loadable else ""
            yield f"| {row.format}{f' ({row.document})' if row.document else ''} | {_patterns(row)} | {note} |"


def _patterns(row: FileClass) -> str:
    words = [*sorted(row.names), *(f"*{suffix}" for suffix in row.suffixes), *(pattern.pattern for pattern in row.patterns)]
    return " ".join(f"`{word}`".replace("|", "\\|") for word in words)


def _rules(rules: Rules) -> Iterator[str]:
    for section, group in groupby(rules.rules.values(), key=lambda rule: rule.id.partition(".")[0]):
        yield f"\n## {_SECTIONS[section]}\n"
        yield "| rule | reason | severity | detects | why |\n|---|---|---|---|---|"
        yield from (_row(rule) for rule in group)


def _row(rule: Rule) -> str:
    cells = (f"`{rule.id}`", rule.reason.value, rule.severity.value, rule.detects, rule.why)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _templates(rules: Rules) -> Iterator[str]:
    yield "\n## What a chat template may use\n"
    for name, words in (
        ("Filters", rules.templates.filters),
        ("Tests", rules.templates.tests),
        ("Calls, besides its own macros", rules.templates.calls),
        ("Methods", rules.templates.methods),
    ):
        yield f"- {name}: {' '.join(f'`{word}`' for word in sorted(words))}"
