"""The part of docs/troubleshooting.md that follows the one table of reasons: a paragraph for each."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from modeltrust.domain.reasons import EXPLANATIONS, Reason

PATH = "docs/troubleshooting.md"
_ROOT = Path(__file__).parent.parent
_PART = re.compile(r"(<!-- reasons: .*? -->\n).*(<!-- /reasons -->)", re.DOTALL)
_LINE = 130


def generate() -> Mapping[str, str]:
    """{path: text}: the page as it is, with the paragraphs written anew."""
    text = (_ROOT / PATH).read_text(encoding="utf-8")
    body = "\n".join(_paragraphs())
    return {PATH: _PART.sub(lambda found: f"{found[1]}\n{body}\n{found[2]}", text)}


def _paragraphs() -> Iterator[str]:
    for reason in Reason:
        row = EXPLANATIONS[reason]
        yield f"### {reason.value}\n\n{_wrapped(row.meaning)}\n\n- {_wrapped('Usually: ' + row.cause, '  ')}"
        yield f"- {_wrapped('What to do: ' + row.fix, '  ')}\n"


def _wrapped(text: str, indent: str = "") -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _LINE:
            lines.append(indent)
        lines[-1] += word if lines[-1] in ("", indent) else f" {word}"
    return "\n".join(lines)
