"""The rule tables of this package as values: what each rule is called, what it detects, and the lists it reads.

Rows are data (``formats/rows/*.yaml``, read by ``wiring.rules``); Python stands only where a rule computes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modeltrust.domain.errors import MalformedError, quote
from modeltrust.domain.evidence import FormatFinding, Severity
from modeltrust.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found, before it is known which file it belongs to.

    Attributes:
        rule: id of the rule.
        message: one sentence, lower case; foreign values quoted.
    """

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table of rules; docs/formats.md prints them all.

    Attributes:
        id: stable, e.g. ``config.auto_map``.
        reason: what a denial says.
        severity: error fails, warning informs.
        detects: what it looks for, one sentence.
        why: the attack, defect or upstream behaviour behind it.
    """

    id: str
    reason: Reason
    severity: Severity
    detects: str
    why: str


@dataclass(frozen=True, slots=True)
class FileClass:
    """What a file is by its name alone; its content must then agree.

    Attributes:
        format: word in a report: safetensors, json, text, pickle …
        weights: name of the weight format, empty where it holds none.
        risk: what is dangerous about weights in this format, for people.
        document: which JSON document it is (``config``, ``tokenizer`` …), empty for other formats.
        deny: id of the rule that refuses such a file whatever it holds, empty otherwise.
        loadable: whether a loader of models looks at such a file.
        binary: whether control characters may stand in it.
        magics: signatures that its first bytes may carry; any other known one contradicts the name.
        required: whether one of the magics must be there.
        names: exact file names.
        suffixes: endings of file names.
        fold: compare the endings without regard to case.
        patterns: regular expressions over the whole path.
    """

    format: str
    weights: str
    risk: str
    document: str
    deny: str
    loadable: bool
    binary: bool
    magics: frozenset[str]
    required: bool
    names: frozenset[str]
    suffixes: tuple[str, ...]
    fold: bool
    patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Magic:
    """A signature of a format.

    Attributes:
        name: word in messages.
        offset: where it stands, in bytes.
        data: the bytes.
    """

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KeyRule:
    """A key of a JSON document that makes a loader run, load or read something.

    Attributes:
        rule: id of the rule.
        documents: names of documents; ``*`` is every document whose keys are not tokens or tensor names.
        keys: names; a leading ``*`` matches any beginning; ``*`` alone every key.
        depth: ``any``, ``top``, ``nested``, or the name of the object right above.
        shape: which values count, see ``sidecars.SHAPES``.
        allowed: values or beginnings that the shape excuses.
    """

    rule: str
    documents: frozenset[str]
    keys: tuple[str, ...]
    depth: str
    shape: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplateRules:
    """What a chat template may use (facts/formats.md section 6.3) and the words that the behaviour rules know.

    Attributes:
        filters: names of filters.
        tests: names of tests.
        calls: names that may be called besides own macros.
        methods: methods that may be called on any value.
        names: variables that may not be mentioned.
        markers: literals that name roles, kinds of content or formats.
        imperatives: words that give orders to a model.
        idioms: phrases of prompt injection.
    """

    filters: frozenset[str]
    tests: frozenset[str]
    calls: frozenset[str]
    methods: frozenset[str]
    names: frozenset[str]
    markers: frozenset[str]
    imperatives: frozenset[str]
    idioms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """All tables of this package.

    Attributes:
        version: sha256 hex over the rows.
        rules: by id.
        classes: in order; the first that matches a path says what the file is.
        magics: signatures.
        keys: rules on JSON keys.
        templates: see TemplateRules.
    """

    version: str
    rules: Mapping[str, Rule]
    classes: tuple[FileClass, ...]
    magics: tuple[Magic, ...]
    keys: tuple[KeyRule, ...]
    templates: TemplateRules

    def finding(self, path: str, problem: Problem, *, loadable: bool) -> FormatFinding:
        """A problem as a finding about one file; KeyError where the table lacks the rule (a bug, and tests look for it)."""
        rule = self.rules[problem.rule]
        return FormatFinding(path, rule.id, rule.reason, problem.message, rule.severity, loadable)


def parse_rules(document: Mapping[str, Any]) -> Rules:
    """Build the tables from their rows.

    Args:
        document: ``version`` and the content of each rows file under its name: rules, files, sidecars, templates.

    Raises:
        MalformedError: a row lacks a field, has one too many, repeats an id or names an unknown rule.
    """
    try:
        rules = _rules(document["rules"])
        files = document["files"]
        classes = tuple(_file_class(row) for row in files["classes"])
        magics = tuple(Magic(row["name"], row.get("offset", 0), bytes.fromhex(row["hex"])) for row in files["magics"])
        keys = tuple(_key_rule(row) for row in document["sidecars"])
        templates = _template_rules(document["templates"])
        version = str(document["version"])
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        raise MalformedError(f"a rule table is malformed: {quote(error)}") from error
    _check_named(rules, [row.rule for row in keys] + [row.deny for row in classes if row.deny])
    return Rules(version, rules, classes, magics, keys, templates)


def _rules(rows: Sequence[Mapping[str, str]]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for row in rows:
        _check_fields(row, {"id", "reason", "severity", "detects", "why"})
        if row["id"] in rules:
            raise ValueError(f"rule {row['id']} twice")
        rules[row["id"]] = Rule(row["id"], Reason(row["reason"]), Severity(row["severity"]), row["detects"], row["why"])
    return rules


_CLASS_FIELDS = frozenset(FileClass.__slots__)


def _file_class(row: Mapping[str, Any]) -> FileClass:
    _check_fields(row, _CLASS_FIELDS)
    return FileClass(
        format=row["format"],
        weights=row.get("weights", ""),
        risk=row.get("risk", ""),
        document=row.get("document", ""),
        deny=row.get("deny", ""),
        loadable=row.get("loadable", True),
        binary=row.get("binary", False),
        magics=frozenset(row.get("magics", ())),
        required=row.get("required", False),
        names=frozenset(row.get("names", ())),
        suffixes=tuple(row.get("suffixes", ())),
        fold=row.get("fold", False),
        patterns=tuple(re.compile(pattern) for pattern in row.get("patterns", ())),
    )


def _key_rule(row: Mapping[str, Any]) -> KeyRule:
    _check_fields(row, frozenset(KeyRule.__slots__))
    return KeyRule(
        row["rule"],
        frozenset(row["documents"]),
        tuple(row["keys"]),
        row.get("depth", "any"),
        row["shape"],
        tuple(row.get("allowed", ())),
    )


def _template_rules(row: Mapping[str, Sequence[str]]) -> TemplateRules:
    _check_fields(row, frozenset(TemplateRules.__slots__))
    return TemplateRules(
        frozenset(row["filters"]),
        frozenset(row["tests"]),
        frozenset(row["calls"]),
        frozenset(row["methods"]),
        frozenset(row["names"]),
        frozenset(row["markers"]),
        frozenset(row["imperatives"]),
        tuple(row["idioms"]),
    )


def _check_fields(row: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    unknown = row.keys() - known
    if unknown:
        raise ValueError(f"unknown field {min(unknown)}")


def _check_named(rules: Mapping[str, Rule], named: Sequence[str]) -> None:
    for rule in named:
        if rule not in rules:
            raise MalformedError(f"a rule table names the rule {quote(rule)}, which has no row")
