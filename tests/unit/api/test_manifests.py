"""Manifests are read as kubectl reads them, and nothing that is no manifest is skipped silently."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api.manifests import locate, read_manifests
from modeltrust.api.scalars import resolve
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError

HEAD = "apiVersion: v1\nkind: Pod\n"


def _one(text: str) -> dict[str, Any]:
    (document,) = read_manifests(text.encode(), "a.yaml")
    return document.value


def test_documents_are_counted_and_keep_their_lines() -> None:
    text = f"# head\n---\n{HEAD}---\n---\n# nothing\n---\n{HEAD}metadata: {{name: b}}\n"
    first, second = read_manifests(text.encode(), "a.yaml")
    assert (first.name, first.index, first.line) == ("a.yaml", 0, 3)
    assert (second.index, second.line, second.value["metadata"]) == (1, 9, {"name": "b"})


def test_nothing_is_nothing() -> None:
    assert read_manifests(b"", "a.yaml") == read_manifests(b"# comment\n---\n", "a.yaml") == ()


def test_json_is_read_as_json_one_object_or_several() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x/\u20ac", "n": 1, "f": 1.5}}
    text = json.dumps(pod).replace("/", "\\/")
    one, two = read_manifests(f"\n{text}\n{text}".encode(), "a.json")
    assert one.value == two.value == pod
    assert (one.line, two.line) == (2, 3)


def test_a_flow_map_that_is_no_json_is_yaml() -> None:
    assert _one("{apiVersion: v1, kind: Pod, a: yes}") == {"apiVersion": "v1", "kind": "Pod", "a": True}


def test_lists_are_flattened_as_kubectl_does() -> None:
    item = "- apiVersion: v1\n  kind: Pod\n"
    text = (
        f"apiVersion: v1\nkind: List\nitems:\n{item}- apiVersion: v1\n  kind: List\n  items:\n  - {{apiVersion: v1, kind: Node}}\n"
    )
    documents = read_manifests(text.encode(), "a.yaml")
    assert [(d.value["kind"], d.index, d.line) for d in documents] == [("Pod", 0, 4), ("Node", 1, 6)]  # the line of the inner List


def test_a_typed_list_gives_its_type_to_its_items() -> None:
    document = _one("apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n")
    assert (document["apiVersion"], document["kind"]) == ("apps/v1", "Deployment")


def test_whatever_has_items_is_a_list_whatever_it_calls_itself() -> None:
    document = _one("apiVersion: v1\nkind: ConfigMap\nitems:\n- {apiVersion: apps/v1, kind: Deployment}\n")
    assert document["kind"] == "Deployment"


@pytest.mark.parametrize("kind", ["Pod", "ModelRevocation", "List", "PodList"])
@pytest.mark.parametrize("beside", ["spec: {}", "data: {}", "spec: null"])
@pytest.mark.parametrize("items", ["[]", "[{apiVersion: v1, kind: Service}]"])
def test_an_object_that_is_also_a_list_is_refused_since_half_of_it_would_go_unseen(kind: str, beside: str, items: str) -> None:
    with pytest.raises(InvalidInputError, match=r'^a\.yaml:1: got "(spec|data)" beside items'):
        read_manifests(f"apiVersion: v1\nkind: {kind}\nitems: {items}\n{beside}\n".encode(), "a.yaml")


def test_anchors_and_merges_are_expanded() -> None:
    value = _one(HEAD + "a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\nc: {<<: [{z: 5}, *a]}\nd: *a\n")
    assert value["b"] == {"x": 1, "z": 3}
    assert value["c"] == {"x": 1, "z": 5}
    assert value["d"] == value["a"]


def test_keys_become_strings_as_in_json() -> None:
    assert _one(HEAD + 'on: 1\n"off": 2\n3: 4\n1.5: 6\n') == {
        "apiVersion": "v1",
        "kind": "Pod",
        "true": 1,
        "off": 2,
        "3": 4,
        "1.5": 6,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")],
        *[(word, False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[
            (word, word)
            for word in ("yEs", "tRUE", "nULL", "2026-11-24", "2026-11-24T10:00:00Z", "2026-1-2 10:11:12", "1:30", "190:20:30")
        ],
        *[
            (word, word)
            for word in (
                "1.2.3",
                "v1",
                "-",
                "+",
                ".",
                "..",
                "1e",
                "0x",
                "0xg",
                "1e999",
                "-.",
                "=",
                "<<",
                "!",
                "10.0.0.1",
                "1_000.5x",
            )
        ],
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("1_000", 1000),
        ("010", 8),
        ("0o10", 8),
        ("-0x1F", -31),
        ("0b101", 5),
        ("08", 8),
        ("1e3", 1000),
        ("1.0", 1),
        (".5", 0.5),
        ("-1.5e-3", -0.0015),
        ("18446744073709551616", 18446744073709551616),
        ("1e21", 1e21),
    ],
)
def test_plain_scalars_are_read_as_kubectl_reads_them(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quoted_and_block_scalars_are_text() -> None:
    assert _one(HEAD + "a: 'yes'\nb: \"1\"\nc: |\n  2\nd: !!str 3\ne: !!int 4\nf: !!float 5\n") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "a": "yes",
        "b": "1",
        "c": "2\n",
        "d": "3",
        "e": 4,
        "f": 5,
    }


LAUGHS = HEAD + "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
DEEP = "[" * (limits.JSON_DEPTH + 8) + "]" * (limits.JSON_DEPTH + 8)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (HEAD + "a: 1\nb: 2\na: 3\n", '5: got the key "a" twice'),
        (HEAD + "a: {1: x, '1': y}\n", '3: got the key "1" twice'),
        (HEAD + "a: &a [*a]\n", "3: got the alias"),
        (HEAD + "a: *nothing\n", "3: "),
        (LAUGHS, "9: got more than"),
        (HEAD + "a: !!python/object/apply:os.system [x]\n", "3: got the tag"),
        (HEAD + "a: !!binary aGk=\n", "3: got the tag"),
        (HEAD + "a: !secret x\n", "3: got the tag"),
        (HEAD + "a: !!int x\n", "3: got"),
        (HEAD + "a: .inf\n", "3: got"),
        (HEAD + "a: -.INF\n", "3: got"),
        (HEAD + "a: .nan\n", "3: got"),
        (HEAD + f"a: {'9' * 5000}\n", "3: got a number"),
        (HEAD + "a: {b: c\n", ": not YAML"),
        (HEAD + "a: 'b\n", ": not YAML"),
        (HEAD + "\ta: b\n", ": not YAML"),
        (HEAD + "a: {{ .Values.x }}\n", "3: got a map, a list or an alias as a key"),
        (HEAD + "? [a]\n: b\n", "3: got a map, a list or an alias as a key"),
        (HEAD + "~: b\n", "3: got null as a key"),
        (HEAD + ".inf: b\n", "3: got"),
        (HEAD + "a: {<<: 7}\n", "3: got something else"),
        # kubectl takes what is merged after a key, the YAML specification the key
        (HEAD + "spec: {a: 1}\n<<: {spec: {a: 2}}\n", '4: got the key "spec" before "<<"'),
        (HEAD + "spec: {a: 1}\n<<: [{x: 1}, {spec: {a: 2}}]\n", '4: got the key "spec" before "<<"'),
        (HEAD + "<<: {spec: {a: 1}}\n<<: {spec: {a: 2}}\n", '4: got "<<" twice'),
        (HEAD + f"a: {DEEP}\n", "3: got more than"),
        (HEAD + "---\n- a\n", "4: got a list"),
        (HEAD + "---\nplain\n", '4: got "plain"'),
        ("a: 1\n", "1: apiVersion: got nothing"),
        ("apiVersion: v1\n", "1: kind: got nothing"),
        ("apiVersion: v1\nkind: ''\n", "1: kind: got"),
        ("apiVersion: 1\nkind: Pod\n", "1: apiVersion: got a int"),
        ("apiVersion: v1\nkind: List\nitems: {}\n", "1: items: got a dict"),
        ("apiVersion: v1\nkind: List\nitems:\n- 7\n", "4: got a int"),
        ("apiVersion: v1\nkind: List\nitems:\n- {a: 1}\n", "4: apiVersion: got nothing"),
        ('{"apiVersion": "v1",\n "kind": "Pod"', "2: not JSON"),
        ('{"apiVersion": "v1", "kind": "Pod", "kind": "Node"}', '1: got the key "kind" twice'),
        ('{"apiVersion": "v1", "kind": "Pod", "a": NaN}', "1: got NaN"),
        ('{"apiVersion": "v1", "kind": "Pod", "a": 1e999}', "1: got"),
        ('{"apiVersion": "v1", "kind": "Pod", "a": ' + DEEP + "}", "1: got more than"),
        ('{"a":' * 100_000, "1: "),
        ("[" * 100_000, "1: "),
        ("a\0b", "1: got a NUL"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_line(text: str, where: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_manifests(text.encode(), "dir/a.yaml")
    assert str(caught.value).startswith("dir/a.yaml:")
    assert where in str(caught.value)


def test_lists_inside_lists_end_somewhere() -> None:
    text = "apiVersion: v1\nkind: List\nitems: [%s]\n"
    nested = "{apiVersion: v1, kind: List, items: []}"
    for _ in range(8):
        nested = f"{{apiVersion: v1, kind: List, items: [{nested}]}}"
    with pytest.raises(InvalidInputError, match="not nested deeper than"):
        read_manifests((text % nested).encode(), "a.yaml")


def test_too_many_objects_and_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MANIFEST_DOCUMENTS", 2)
    with pytest.raises(InvalidInputError, match=r"a\.yaml:7: got more than 2 objects"):
        read_manifests(f"{HEAD}---\n{HEAD}---\n{HEAD}".encode(), "a.yaml")
    monkeypatch.setattr(limits, "MANIFEST_BYTES", 10)
    with pytest.raises(InvalidInputError, match="expected a manifest of at most 10"):
        read_manifests(HEAD.encode(), "a.yaml")


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"a: 1\nb: \xff", 2), (HEAD.encode("utf-16"), 1), (b"\x7fELF\x02\x01\x80\x00", 1), (b"\x1f\x8b\x08\x00\xff", 1)],
)
def test_binary_files_are_named_with_their_line(data: bytes, line: int) -> None:
    with pytest.raises(InvalidInputError, match=f"^x:{line}: got bytes that are not UTF-8"):
        read_manifests(data, "x")


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert _one("\ufeff" + HEAD)["kind"] == "Pod"


def test_places_are_those_of_the_values() -> None:
    item = "- apiVersion: v1\n  kind: Pod\n  spec:\n    containers:\n    - name: a\n      image: b\n"
    text = f"{HEAD}---\napiVersion: v1\nkind: List\nitems:\n{item}"
    _, pod = read_manifests(text.encode(), "a.yaml")
    assert locate(pod, "/spec/containers/0/image") == (12, 14)
    assert locate(pod, "/spec/containers/0/image#word 7") == (12, 14)
    assert locate(pod, "/spec/containers/0/args/5") == (11, 7)
    assert locate(pod, "/nothing/at/all") == (7, 3)
    assert locate(pod, "") == (7, 3)


def test_pointers_escape_slashes_and_tildes() -> None:
    (pod,) = read_manifests((HEAD + "metadata:\n  annotations:\n    a/b~c: d\n").encode(), "a.yaml")
    assert locate(pod, "/metadata/annotations/a~1b~0c") == (5, 12)


def test_places_in_json_are_found_where_it_is_yaml_too() -> None:
    (pod,) = read_manifests(b'{"apiVersion": "v1",\n  "kind": "Pod"}', "a.json")
    assert locate(pod, "/kind") == (2, 11)
    _, second = read_manifests(b'{"apiVersion":"v1","kind":"Pod"} {"apiVersion":"v1","kind":"Pod"}', "a.json")
    assert locate(second, "/kind") == (1, 1)


_TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)  # YAML has no surrogate escapes
_TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(_TEXT, children, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_TREE)
def test_json_means_the_same_read_as_json_and_as_yaml(tree: Any) -> None:
    value = {"apiVersion": "v1", "kind": "Pod", "x": tree}
    text = json.dumps(value, indent=1)
    assert _one(text) == value
    assert _one("---\n" + text) == value


@settings(max_examples=150, deadline=None)
@given(
    start=st.integers(0, 300),
    length=st.integers(0, 20),
    insert=st.text(st.sampled_from("{}[]:,-&*!|>'\"#%@\n\t \0a1~<"), max_size=5),
)
def test_mutated_manifests_raise_nothing_but_our_error(start: int, length: int, insert: str) -> None:
    containers = "  containers:\n  - name: b\n    args: [\"--model\", 'x', 1e3]\n    <<: {image: c}\n"
    text = HEAD + "metadata: {name: &n a, labels: {x: *n}}\nspec:\n" + containers
    start %= len(text)
    try:
        documents = read_manifests((text[:start] + insert + text[start + length :]).encode(), "a.yaml")
    except InvalidInputError:
        return
    for document in documents:
        json.dumps(document.value, allow_nan=False)
        assert locate(document, "/spec/containers/0/name") >= (1, 1)
