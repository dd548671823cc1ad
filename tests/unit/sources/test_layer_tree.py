"""What layers make together, as the image specification says; what runtimes would make different things of is refused."""

import io
from collections.abc import Sequence

import pytest

from modeltrust.domain.errors import MalformedError
from modeltrust.domain.listing import FileKind
from modeltrust.sources.inflate import Compression
from modeltrust.sources.layer_tree import Folder, LayerTree, Other
from modeltrust.sources.layers import Content, Layer, Unpacked
from modeltrust.sources.streams import Stream
from modeltrust.sources.tar_members import MemberKind, members
from tests.support.images import Entry, folder, sha256, tar

BLOB = Layer("0" * 64, 1, Compression.NONE)


def unpack(entries: Sequence[Entry]) -> Unpacked:
    data = tar(entries)
    stream = Stream(iter([io.BytesIO(data).read()]))
    found = []
    for member in members(stream):
        content = None
        if member.kind is MemberKind.FILE:
            content = Content(sha256(stream.exactly(member.size)), member.size, BLOB, member.start, b"")
        found.append((member, content))
    return Unpacked(tuple(found), sha256(data))


def made(*layers: Sequence[Entry]) -> dict[str, str]:
    """Files by path, with the sha256 or the kind of each."""
    tree = LayerTree()
    for layer in layers:
        tree.apply(unpack(layer))
    return dict(walk(tree.root, ""))


def walk(node: Folder, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, child in node.children.items():
        if isinstance(child, Folder):
            found += walk(child, f"{prefix}{name}/")
        else:
            found.append((prefix + name, child.kind.value if isinstance(child, Other) else child.sha256))
    return found


def of(data: bytes) -> str:
    return sha256(data)


def file(path: str, data: bytes = b"x") -> Entry:
    return Entry(path, data)


def gone(path: str) -> Entry:
    return Entry(path)


LOWER = [folder("d"), file("d/a", b"a"), file("d/b", b"b"), folder("d/e"), file("d/e/f", b"f")]


def test_later_layers_win() -> None:
    assert made([file("a", b"1"), file("b", b"1")], [file("a", b"2")]) == {"a": of(b"2"), "b": of(b"1")}


def test_a_whiteout_removes_what_lower_layers_brought() -> None:
    assert made(LOWER, [gone("d/.wh.a")]) == {"d/b": of(b"b"), "d/e/f": of(b"f")}
    assert made(LOWER, [gone("d/.wh.e"), file("d/c")]) == {"d/a": of(b"a"), "d/b": of(b"b"), "d/c": of(b"x")}
    assert made(LOWER, [gone(".wh.d")]) == {}


def test_a_whiteout_of_nothing_removes_nothing() -> None:
    assert made([file("a")], [gone(".wh.b"), gone("e/.wh.c")]) == {"a": of(b"x")}


def test_what_was_removed_may_come_back_in_a_later_layer() -> None:
    assert made(LOWER, [gone(".wh.d")], [file("d/new", b"n")]) == {"d/new": of(b"n")}


def test_an_opaque_folder_hides_what_lower_layers_put_there_and_nothing_else() -> None:
    assert made([*LOWER, file("z")], [folder("d"), gone("d/.wh..wh..opq"), file("d/c", b"c")]) == {"d/c": of(b"c"), "z": of(b"x")}


def test_an_opaque_folder_may_be_emptied_by_name_too() -> None:
    assert made(LOWER, [gone("d/.wh..wh..opq"), gone("d/.wh.a")]) == {}


def test_a_file_in_place_of_a_folder_hides_what_was_below() -> None:
    assert made(LOWER, [file("d", b"1")]) == {"d": of(b"1")}


def test_a_folder_in_place_of_a_file_is_empty() -> None:
    assert made([file("d")], [folder("d"), file("d/a", b"1")]) == {"d/a": of(b"1")}
    assert made([Entry("d", type=b"2", link="/evil")], [folder("d"), file("d/a", b"1")]) == {"d/a": of(b"1")}


def test_a_folder_that_is_named_again_keeps_its_files() -> None:
    assert made(LOWER, [folder("d"), folder("d"), file("d/c", b"c")]).keys() == {"d/a", "d/b", "d/c", "d/e/f"}


def test_a_hard_link_is_the_file_that_it_was_made_of() -> None:
    layer = [file("a", b"1"), Entry("b", type=b"1", link="a"), Entry("c", type=b"1", link="./b")]
    assert made(layer) == dict.fromkeys("abc", of(b"1"))
    assert made(layer, [file("a", b"2")]) == {"a": of(b"2"), "b": of(b"1"), "c": of(b"1")}


def test_links_and_devices_are_named_as_what_they_are() -> None:
    kinds = made([Entry("s", type=b"2", link="x"), Entry("p", type=b"6"), Entry("n", type=b"3", device=(1, 3))])
    assert kinds == {"s": FileKind.SYMLINK.value, "p": FileKind.SPECIAL.value, "n": FileKind.SPECIAL.value}


def test_the_root_may_be_named() -> None:
    assert made([Entry("./", type=b"5"), file("./a")]) == {"a": of(b"x")}


BAD: list[tuple[str, list[list[Entry]]]] = [
    ("a file twice in one layer", [[file("a", b"1"), file("a", b"2")]]),
    ("a file and a link", [[file("a"), Entry("a", type=b"2", link="b")]]),
    ("a file and a folder", [[file("a"), folder("a")]]),
    ("a folder and a file", [[folder("a"), file("a")]]),
    ("a file over the folder of another", [[file("a/b"), file("a")]]),
    ("a file below a file", [[file("a"), file("a/b")]]),
    ("a file below a file of a lower layer", [[file("a")], [file("a/b")]]),
    ("a file behind a link", [[Entry("models", type=b"2", link="/evil")], [file("models/a")]]),
    ("a file behind a link to the models", [[folder("models"), Entry("x", type=b"2", link="models")], [file("x/evil.bin")]]),
    ("a file behind a link of the same layer", [[Entry("x", type=b"2", link="models"), file("x/evil.bin")]]),
    ("a folder behind a link", [[Entry("x", type=b"2", link="models"), folder("x/d")]]),
    ("a whiteout behind a link", [LOWER, [Entry("x", type=b"2", link="d")], [gone("x/.wh.a")]]),
    ("a file behind a device", [[Entry("x", type=b"6"), file("x/a")]]),
    ("a hard link into another layer", [[file("a")], [Entry("b", type=b"1", link="a")]]),
    ("a hard link to a folder", [[folder("a"), Entry("b", type=b"1", link="a")]]),
    ("a hard link to a link", [[Entry("a", type=b"2", link="c"), Entry("b", type=b"1", link="a")]]),
    ("a hard link to nothing", [[Entry("b", type=b"1", link="a")]]),
    ("a hard link to itself", [[Entry("b", type=b"1", link="b")]]),
    ("a hard link to what comes later", [[Entry("b", type=b"1", link="a"), file("a")]]),
    ("a hard link behind a link", [[file("d/a"), Entry("x", type=b"2", link="d"), Entry("b", type=b"1", link="x/a")]]),
    ("a whiteout of what the layer brings", [[file("a"), gone(".wh.a")]]),
    ("a whiteout of a folder in which the layer brings something", [[file("d/a"), gone(".wh.d")]]),
    ("what a whiteout of the layer removes", [[file("a")], [gone(".wh.a"), file("a")]]),
    ("a folder that a whiteout of the layer removes", [LOWER, [gone(".wh.d"), folder("d")]]),
    ("a file in a folder that a whiteout of the layer removes", [LOWER, [gone(".wh.d"), file("d/a")]]),
    ("a whiteout in a folder that a whiteout removes", [LOWER, [gone(".wh.d"), gone("d/.wh.a")]]),
    ("a whiteout of a folder in which a whiteout removes", [LOWER, [gone("d/.wh.a"), gone(".wh.d")]]),
    ("a whiteout of a folder that was made opaque", [LOWER, [gone("d/.wh..wh..opq"), gone(".wh.d")]]),
    ("a file over a folder that was made opaque", [LOWER, [gone("d/.wh..wh..opq"), file("d")]]),
    ("an opaque mark behind what the layer brings there", [LOWER, [file("d/c"), gone("d/.wh..wh..opq")]]),
    ("an opaque mark behind a folder without an entry", [LOWER, [file("d/g/c"), gone("d/.wh..wh..opq")]]),
    ("an opaque mark at the top", [LOWER, [gone(".wh..wh..opq")]]),
    ("a whiteout with bytes", [LOWER, [file("d/.wh.a", b"x")]]),
    ("a whiteout that is a folder", [LOWER, [folder("d/.wh.a")]]),
    ("a whiteout that is a link", [LOWER, [Entry("d/.wh.a", type=b"2", link="x")]]),
    ("a whiteout that is a hard link", [LOWER, [file("e"), Entry("d/.wh.a", type=b"1", link="e")]]),
    ("a whiteout of the folder itself", [LOWER, [gone("d/.wh..")]]),
    ("a whiteout of the folder above", [LOWER, [gone("d/.wh...")]]),
    ("a whiteout of nothing at all", [LOWER, [gone("d/.wh.")]]),
    ("aufs' own files", [LOWER, [gone("d/.wh..wh.plnk")]]),
    ("a folder named as a whiteout", [LOWER, [file("d/.wh.e/f")]]),
    ("a file in place of the root", [[Entry("./", type=b"5"), Entry(".", type=b"2", link="x")]]),
]


@pytest.mark.parametrize("layers", [pytest.param(layers, id=name) for name, layers in BAD])
def test_layers_that_runtimes_make_different_files_of_are_refused(layers: list[list[Entry]]) -> None:
    with pytest.raises(MalformedError):
        made(*layers)
