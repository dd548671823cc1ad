"""Options of shells and of ``env``: where the words end that are their own."""

import re

_WITH_VALUE = frozenset({"--rcfile", "--init-file"})
_SPLIT_STRING = re.compile(r"(?:--split-string=|-[0-9A-Za-z]*?S)(.*)", re.DOTALL)


def shell_options(items: list[str], place: int) -> tuple[bool, int]:
    """Read the options of a shell as bash and dash do: those behind ``-c`` too, and names behind every ``o`` of a cluster.

    Args:
        items: the command line.
        place: index of the first word behind the shell.

    Returns:
        Whether it is given its program (``-c``), and the index of the first word that is no option.
    """
    command = False
    while place < len(items) and items[place][:1] in {"-", "+"}:
        word = items[place]
        place += 1
        if word in {"-", "--"}:
            break
        if word[:2] == "--":
            place += word in _WITH_VALUE
        else:
            command = command or "c" in word
            place += word.count("o") + word.count("O")  # `-euo pipefail`: the names of options follow
    return command, place


def split_strings(items: list[str]) -> list[str]:
    """The words of an ``env`` with those of ``-S 'vllm serve …'``, ``-Svllm`` and ``--split-string=…`` taken apart."""
    result: list[str] = []
    for index, word in enumerate(items):
        match = _SPLIT_STRING.fullmatch(word) if word[:1] == "-" else None
        after = index > 0 and items[index - 1] in {"-S", "--split-string"}
        result += match[1].split() if match is not None else word.split() if after else [word]
    return result
