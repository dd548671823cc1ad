import pytest

from modeltrust.domain.locator import path_of

PATHS = [
    ("", ""),
    ("/spec/containers/0/args/2#word 7", "spec.containers[0].args[2]"),
    ("/metadata/annotations/modeltrust.dev~1models", "metadata.annotations.modeltrust.dev/models"),
    ("/a~0b~01/c", "a~b~1.c"),
    ("/0/a", "[0].a"),
    ("/spec/a\u202eb\n", "spec.a\\u202eb\\x0a"),
    ("/spec/\u0663", "spec.\u0663"),
]


@pytest.mark.parametrize(("locator", "path"), PATHS)
def test_a_locator_is_shown_as_people_write_paths(locator: str, path: str) -> None:
    assert path_of(locator) == path


def test_an_endless_key_is_cut() -> None:
    assert len(path_of("/" + "x" * 10_000)) < 200
