"""Bad input to every command: one clear line, the right exit code, nothing on stdout, no traceback, nothing half-written."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrust.cli.main import main

MODEL = "hf://acme/guard-7b@" + "9" * 40
TRUNCATED = "apiVersion: v1\nkind: Pod\nmetadata: {name: x"
NOT_A_MAP = "- just\n- a list\n"
NO_KIND = "apiVersion: v1\nmetadata: {name: x}\n"
DUPLICATE = "apiVersion: v1\nkind: Pod\nkind: Service\nmetadata: {name: x}\n"
UNKNOWN_FIELD = """apiVersion: modeltrust.dev/v1alpha1
kind: TrustedSigner
metadata: {name: x}
spec: {purposes: [Author], publickey: {pem: x}, scope: {models: ["hf://acme/*"]}}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: team-a}\nspec: {containers: [{name: a, image: nginx}]}\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)

    def _run(*arguments: str) -> tuple[int, str]:
        before = sorted(tmp_path.rglob("*"))
        code = main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert captured.out == ""
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return code, captured.err.strip()

    return _run


def _one_line(text: str) -> bool:
    return len(text.splitlines()) == 1 and text.startswith("modeltrust: ")


MANIFESTS = {
    "missing": None,
    "binary": bytes(range(256)),
    "truncated": TRUNCATED.encode(),
    "no map": NOT_A_MAP.encode(),
    "no kind": NO_KIND.encode(),
    "duplicate key": DUPLICATE.encode(),
    "not UTF-8": "metadata: {name: é}".encode("latin-1"),
    "deep": b"[" * 100_000,
    "billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(9)),
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS.keys())
@pytest.mark.parametrize("command", ["refs", "check"])
def test_a_file_that_is_no_manifest_is_an_error_that_names_it(
    command: str, content: bytes | None, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "namespace.yaml").write_text(NAMESPACE)
    if content is not None:
        (tmp_path / "input.yaml").write_bytes(content)

    code, error = run(command, "input.yaml", *(["--trust", "trust"] if command == "check" else []))

    assert code == 2
    assert _one_line(error), error
    assert "input.yaml" in error


@pytest.mark.parametrize("content", ["", "---\n---\n", "# nothing\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"])
@pytest.mark.parametrize("command", ["refs", "check"])
def test_nothing_to_check_has_an_exit_code_of_its_own(
    command: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "namespace.yaml").write_text(NAMESPACE)
    (tmp_path / "input.yaml").write_text(content)

    code = main([command, str(tmp_path / "input.yaml"), *(["--trust", str(tmp_path / "trust")] if command == "check" else [])])

    assert code == 3
    assert capsys.readouterr().err == ""


def test_a_trust_folder_with_something_else_in_it_is_an_error_that_names_it(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "pod.yaml").write_text(POD)
    (tmp_path / "input.yaml").write_text(POD)

    code, error = run("check", "input.yaml", "--trust", "trust")

    assert code == 2
    assert "pod.yaml" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("digest", "nowhere"),
        ("inspect", "nowhere"),
        ("sign", "nowhere", "--key", "key.pem"),
        ("verify", "nowhere", "--signer", "signer.yaml", "--model", MODEL),
        ("attest", "nowhere", "--model", MODEL, "--trust", "trust", "--key", "key.pem", "--audience", "a"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_model_that_is_not_there_is_an_error_that_names_it(
    arguments: tuple[str, ...], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "trust").mkdir()

    code, error = run(*arguments)

    assert code == 2
    assert _one_line(error), error


@pytest.mark.parametrize("name", ["gs://bucket/model", "pvc://team/claim/x", "ftp://x/y"])
@pytest.mark.parametrize("command", ["digest", "inspect"])
def test_a_reference_that_no_source_serves_is_one_clear_line(command: str, name: str, run: Callable[..., tuple[int, str]]) -> None:
    code, error = run(command, name)

    assert code == 2
    assert _one_line(error), error


@pytest.mark.parametrize("name", ["oci://HOST/x", "oci://host", "oci://host/x@sha256:12", "hf://", "://", "oci://a/b?c"])
def test_a_reference_that_is_not_canonical_is_refused(name: str, run: Callable[..., tuple[int, str]]) -> None:
    code, error = run("digest", name)

    assert code == 2
    assert _one_line(error), error


def test_an_unknown_field_of_a_signer_is_an_error_with_its_path(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "signer.yaml").write_text(UNKNOWN_FIELD)
    (tmp_path / "model").mkdir()

    code, error = run("verify", "model", "--signer", "signer.yaml", "--model", MODEL)

    assert code == 2
    assert _one_line(error), error
    assert "publickey" in error


def test_a_key_that_is_no_key_is_refused_before_anything_is_written(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "key.pem").write_text("no key")

    code, error = run("sign", "model", "--key", "key.pem")

    assert code == 2
    assert _one_line(error), error


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error_that_names_it(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "input.yaml").write_text(POD)
    (tmp_path / "input.yaml").chmod(0)

    code, error = run("refs", "input.yaml")

    assert code == 2
    assert "input.yaml" in error


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("check",),
        ("check", "x.yaml"),
        ("refs", "--nonsense", "x.yaml"),
        ("digest",),
        ("sign", "."),
        ("sign", ".", "--key", "k", "--keyless"),
        ("verify", ".", "--signer", "s"),
        ("verify", ".", "--signer", "s", "--model", "no reference"),
        ("attest", ".", "--trust", "t", "--key", "k", "--audience", "a"),
        ("approve", "hf://acme/guard-7b@main", "--key", "k", "--ticket", "T", "--expires", "9"),
        ("approve", MODEL, "--key", "k", "--ticket", "T", "--expires", "0"),
        ("approve", MODEL, "--key", "k", "--ticket", "T", "--expires", "9", "--content-digest", "md5:1"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code = main(list(arguments))

    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
