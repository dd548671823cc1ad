import ast
from collections import Counter
from pathlib import Path

from modeltrust.domain import limits


def test_no_bound_is_stated_twice_since_the_second_would_silently_win() -> None:
    tree = ast.parse(Path(limits.__file__).read_text(encoding="utf-8"))
    names = Counter(
        target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_what_people_may_write_in_a_claim_is_never_longer_than_what_is_read_from_a_certificate() -> None:
    assert limits.API_CLAIM_CHARACTERS <= limits.CLAIM_CHARACTERS
