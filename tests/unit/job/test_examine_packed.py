"""`job examine` of a model packed in an image: every byte read in a process that writes nothing and opens no file of ours."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.api.output import report_of
from modeltrust.domain import limits
from modeltrust.domain.digest import content_digest
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.facts import Known, Unavailable
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Order, Report, SourceAccess, SourceType
from tests.support.authority import server_context
from tests.support.images import TAR_GZIP, TAR_ZSTD, Entry, files, image, sha256
from tests.support.registry import TAR, Registry, serving
from tests.unit.api.test_work import ORDER

EXAMINE = (
    sys.executable,
    "-I",
    "-m",
    "modeltrust",
    "job",
    "examine",
    "--allow-loopback",
    "--memory",
    str(limits.EXAMINER_LEAST_MEMORY_BYTES),
)
MODEL = [Entry("bin/sh", b"#!"), *files(models__config_dot_json=b"{}", models__README_dot_md=b"# x\n" * 600_000)]
DIGEST = content_digest((str(entry.name).removeprefix("models/"), sha256(entry.data)) for entry in MODEL[1:])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    context, _ = server_context(tmp_path, "localhost")
    with serving(Registry(), tls=context) as registry:
        registry.address = registry.address.replace("127.0.0.1", "localhost")
        yield registry


def report(registry: Registry, digest: str, folder: Path, **changes: object) -> Report:
    ca = (folder / "ca.pem").read_bytes()
    access = SourceAccess(SourceType.OCI, (f"https://{registry.address}",), ca=ca)
    order: Order = dataclasses.replace(
        ORDER,
        identity=parse_identity(f"oci://{registry.address}/models/guard@{digest}"),
        bundles=(),
        remote_bundles=(),
        source=access,
        **changes,  # type: ignore[arg-type]
    )
    done = subprocess.run(EXAMINE, input=work.encode_order(order), capture_output=True, env={}, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    return report_of(done.stdout)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
@pytest.mark.parametrize("read_bytes", [True, False])
def test_a_modelcar_is_examined_byte_by_byte(registry: Registry, tmp_path: Path, media_type: str, *, read_bytes: bool) -> None:
    found = report(registry, image(registry, [MODEL], media_type=media_type), tmp_path, read_bytes=read_bytes)
    assert (found.content, found.assurance, found.files) == (Known(DIGEST), Assurance.BYTES_HASHED, 2)
    assert isinstance(found.formats, Known)


def test_a_large_modelcar_is_left_to_a_job(registry: Registry, tmp_path: Path) -> None:
    layer = {"mediaType": TAR, "digest": "sha256:" + "1" * 64, "size": limits.OCI_PACKED_BYTES + 1}
    config = registry.layer(b"{}", media_type="application/vnd.oci.image.config.v1+json")
    found = report(registry, registry.push_manifest(registry.document([layer]) | {"config": config}), tmp_path, read_bytes=False)
    assert isinstance(found.content, Unavailable)
    assert "a Job reads every byte" in found.content.why
