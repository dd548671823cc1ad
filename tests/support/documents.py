"""The commands of our documents: every fenced ``sh`` block, with who runs it.

A plain block is run against a real API server, in the order of the page (e2e/test_documents.py). ``sh node`` needs running Pods.
``sh shown: <why>`` is run by nobody, and says why.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands.

    Attributes:
        document: its name.
        line: of its first command.
        mark: empty, ``node`` or ``shown``.
        why: of a block that nobody runs.
        text: the commands, as a shell reads them.
    """

    document: str
    line: int
    mark: str
    why: str
    text: str

    @property
    def commands(self) -> tuple[str, ...]:
        """Whole command lines: continued ones joined, here-documents left out."""
        joined = re.sub(r"<<'EOF'\n.*?^EOF$", "", self.text, flags=re.MULTILINE | re.DOTALL).replace("\\\n", " ")
        return tuple(line.strip() for line in joined.splitlines() if line.strip())


def blocks(document: Path) -> tuple[Block, ...]:
    """The ``sh`` blocks of a document.

    Raises:
        ValueError: a block is marked in a way that nobody knows.
    """
    text = document.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, _, rest = match[1].partition(" ")
        if language in ("sh", "bash", "console", "shell"):
            mark, _, why = rest.partition(":")
            if language != "sh" or mark not in ("", "node", "shown") or (mark == "shown") != bool(why.strip()):
                raise ValueError(f"{document.name}: got ```{match[1]}, expected ```sh, ```sh node or ```sh shown: <why>")
            line = text.count("\n", 0, match.start(2)) + 1
            found.append(Block(document.name, line, mark, why.strip(), match[2]))
    return tuple(found)
