"""What an evaluation's engine is given is exactly what was attested, or nothing (attack H15)."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.api.work import encode_order
from modeltrust.domain.digest import content_digest
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Order, SourceAccess, SourceType
from modeltrust.job.fetch import Exit, main
from modeltrust.wiring.confinement import possible
from modeltrust.wiring.landlock import keeps_ports
from tests.support.authority import server_context
from tests.support.confinement import environment, left_alone
from tests.support.images import Entry, image
from tests.support.registry import Answer, Registry, Request, serving

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "sub/tokenizer.json": b"[]"}
DIGEST = content_digest((path, hashlib.sha256(data).hexdigest()) for path, data in FILES.items())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    context, authority = server_context(tmp_path_factory.mktemp("tls"), "localhost")
    with serving(Registry(), tls=context) as registry:
        yield registry, authority


def an_order(
    served: tuple[Registry, Path], folder: Path, files: dict[str, bytes] = FILES, digest: str = "", **changes: object
) -> Path:
    registry, authority = served
    digest = digest or registry.push([registry.layer(data, title=path) for path, data in files.items()])
    host = f"localhost:{registry.address.partition(':')[2]}"
    order = Order(
        identity=parse_identity(f"oci://{host}/models/guard@{digest}"),
        nonce="0f" * 16,
        signers=(),
        bundles=(),
        read_bytes=False,
        now=0,
        source=SourceAccess(SourceType.OCI, (f"https://{host}",), ca=authority.read_bytes()),
    )
    path = folder / "order.json"
    path.write_bytes(encode_order(replace(order, **changes)))  # type: ignore[arg-type]  # fields of an order
    return path


def fetch(order: Path, folder: Path, digest: str = str(DIGEST)) -> int:
    return main([str(folder), "--order", str(order), "--digest", digest, "--allow-loopback"], confine=left_alone)


def test_the_attested_files_arrive_and_nothing_else(served: tuple[Registry, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"

    assert fetch(an_order(served, tmp_path), folder) == Exit.DONE
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == FILES


def test_a_confined_process_fetches_a_model_and_says_that_it_is_confined(served: tuple[Registry, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    arguments = [
        "job",
        "fetch",
        str(folder),
        "--order",
        str(an_order(served, tmp_path)),
        "--digest",
        str(DIGEST),
        "--allow-loopback",
    ]
    command = [sys.executable, "-I", "-m", "modeltrust", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment())

    assert (done.returncode, done.stderr) == (Exit.DONE, "")
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == FILES
    started = json.loads(done.stdout.splitlines()[0])
    assert (started["event"], started["confined"], started["ports_kept"]) == ("started", possible(), keeps_ports())


def test_the_files_in_an_image_arrive_as_a_container_sees_them(served: tuple[Registry, Path], tmp_path: Path) -> None:
    lower = [Entry("bin/sh", b"#!"), *(Entry(f"models/{path}", data) for path, data in {**FILES, "evil.py": b"x"}.items())]
    digest = image(served[0], [lower, [Entry("models/.wh.evil.py")]])
    folder = tmp_path / "model"

    assert fetch(an_order(served, tmp_path, digest=digest), folder) == Exit.DONE
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == FILES


def test_h15_other_content_than_was_attested_is_not_served(served: tuple[Registry, Path], tmp_path: Path) -> None:
    other = an_order(served, tmp_path, {**FILES, "config.json": b'{"auto_map": {}}'})

    assert fetch(other, tmp_path / "model") == Exit.DIFFERENT


def test_h13_bytes_that_a_registry_swaps_are_not_served(served: tuple[Registry, Path], tmp_path: Path) -> None:
    registry, _ = served
    order = an_order(served, tmp_path)

    def swapped(request: Request, answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b"weights", b"WEIGHTS")) if "/blobs/" in request.path else answer

    registry.spoil = swapped
    try:
        assert fetch(order, tmp_path / "model") in (Exit.DIFFERENT, Exit.UNREADABLE)
    finally:
        registry.spoil = lambda _request, answer: answer


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a\\b"])
def test_no_path_leads_out_of_the_folder(path: str, served: tuple[Registry, Path], tmp_path: Path) -> None:
    order = an_order(served, tmp_path, {**FILES, path: b"x"})

    assert fetch(order, tmp_path / "deep" / "model") in (Exit.DIFFERENT, Exit.UNREADABLE)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name not in ("order.json", "deep")] == []


def test_case_twins_are_refused_before_anything_is_written(served: tuple[Registry, Path], tmp_path: Path) -> None:
    order = an_order(served, tmp_path, {**FILES, "Config.json": b"x"})

    assert fetch(order, tmp_path / "model") == Exit.DIFFERENT
    assert list((tmp_path / "model").iterdir()) == []


def test_a_folder_with_files_in_it_is_left_alone(served: tuple[Registry, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine").write_text("keep")

    assert fetch(an_order(served, tmp_path), folder) == Exit.USAGE
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_source_that_does_not_answer_is_told_apart(tmp_path: Path, served: tuple[Registry, Path]) -> None:
    closed = SourceAccess(SourceType.OCI, ("https://localhost:1",))
    order = an_order(served, tmp_path, identity=parse_identity(f"oci://localhost:1/models/guard@{DIGEST}"), source=closed)

    assert fetch(order, tmp_path / "model") == Exit.UNREADABLE


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_an_order_that_is_none_is_refused(content: bytes | None, tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    if content is not None:
        order.write_bytes(content)

    assert fetch(order, tmp_path / "model") == Exit.USAGE


def test_usage_is_told(tmp_path: Path, served: tuple[Registry, Path], capsys: pytest.CaptureFixture[str]) -> None:
    order = an_order(served, tmp_path)

    assert main([], confine=left_alone) == Exit.USAGE
    assert fetch(order, tmp_path / "model", digest="sha256:1") == Exit.USAGE
    assert fetch(an_order(served, tmp_path, source=None), tmp_path / "model") == Exit.USAGE
    assert "Traceback" not in capsys.readouterr().out
