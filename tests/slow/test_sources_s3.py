"""S3Source against a real S3 server: versions, checksums, accounts."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from modeltrust.domain.digest import ContentDigest, content_digest
from modeltrust.domain.errors import MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.reference import Identity, model_reference
from modeltrust.domain.work import SourceAccess, SourceType
from modeltrust.verification.content import complete, content_of
from modeltrust.wiring.opening import OpenedSource, open_source
from tests.support.s3 import OWNER, READER, S3, serving_s3

pytestmark = pytest.mark.slow

BUCKET = "models"
WEIGHTS = bytes(range(256)) * 4096
FILES = {"config.json": b'{"a": 1}', "sub/größe & mehr+x.txt": b"x", "model.safetensors": WEIGHTS, "model.sig": b"{}"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with serving_s3(tmp_path_factory.mktemp("s3"), readable=BUCKET) as server:
        owner = server.client()
        owner.create_bucket(Bucket=BUCKET)
        owner.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        owner.create_bucket(Bucket="secret")
        owner.put_object(Bucket="secret", Key="guard/config.json", Body=b"{}")
        yield server


def put(s3: S3, prefix: str, files: dict[str, bytes], *, checksum: bool = True) -> None:
    owner = s3.client()
    for path, data in files.items():
        stated = base64.b64encode(hashlib.sha256(data).digest()).decode()
        more: dict[str, Any] = {"ChecksumSHA256": stated} if checksum else {}
        owner.put_object(Bucket=BUCKET, Key=f"{prefix}/{path}", Body=data, **more)


def opened(s3: S3, path: str, account: tuple[str, str] | None = READER) -> OpenedSource:
    reference = model_reference("s3", path, resolver=s3.endpoint)
    username, password = account or ("", "")
    access = SourceAccess(SourceType.S3, (s3.endpoint,), username=username, password=password, ca=s3.ca.read_bytes())
    return open_source(Identity(reference, ContentDigest("0" * 64)), access, allow_loopback=True)


def test_a_listing_states_what_the_store_states_without_reading_weights(s3: S3) -> None:
    put(s3, "stated", FILES)
    with opened(s3, f"{BUCKET}/stated") as source:
        listing = source.list()
        assert {e.path: e.sha256 for e in listing.files} == {p: hashlib.sha256(d).hexdigest() for p, d in FILES.items()}
        expected = content_digest((path, hashlib.sha256(data).hexdigest()) for path, data in FILES.items())
        assert content_of(listing) == expected
        assert content_of(complete(listing, source, read_bytes=True)) == expected
        assert source.signatures() == (b"{}",)


def test_parts_of_an_object_are_read_exactly(s3: S3) -> None:
    put(s3, "parts", FILES)
    with opened(s3, f"{BUCKET}/parts") as source:
        for start, length in ((0, 10), (5, 0), (len(WEIGHTS) - 3, 100), (0, len(WEIGHTS))):
            assert source.read("model.safetensors", start, length) == WEIGHTS[start : start + length]
        assert source.read("sub/größe & mehr+x.txt", 0, 9) == b"x"


def test_what_was_listed_is_what_is_read_after_it_was_overwritten(s3: S3) -> None:
    put(s3, "moved", FILES)
    with opened(s3, f"{BUCKET}/moved") as source:
        source.list()
        put(s3, "moved", {"config.json": b'{"a": 2}'})
        assert source.read("config.json", 0, 99) == b'{"a": 1}'  # that version; the bucket keeps it


def test_an_object_that_changes_in_a_bucket_without_versions_is_unavailable(s3: S3) -> None:
    owner = s3.client()
    owner.create_bucket(Bucket="plain")
    owner.put_object(Bucket="plain", Key="guard/config.json", Body=b"1")
    with opened(s3, "plain/guard", OWNER) as source:
        source.list()
        owner.put_object(Bucket="plain", Key="guard/config.json", Body=b"2")
        with pytest.raises(UnavailableError):
            source.read("config.json", 0, 1)


def test_objects_without_a_sha256_state_none(s3: S3) -> None:
    put(s3, "crc", {"config.json": b"{}"}, checksum=False)
    with opened(s3, f"{BUCKET}/crc") as source:
        (entry,) = source.list().files
        assert entry.sha256 is None
        assert complete(source.list(), source, read_bytes=True).files[0].sha256 == hashlib.sha256(b"{}").hexdigest()


def test_a_composite_checksum_is_no_digest(s3: S3) -> None:
    owner, part = s3.client(), b"x" * (5 * 1024 * 1024)
    upload = owner.create_multipart_upload(Bucket=BUCKET, Key="parts2/model.bin", ChecksumAlgorithm="SHA256")["UploadId"]
    done = []
    for number in (1, 2):
        digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
        answer = owner.upload_part(
            Bucket=BUCKET, Key="parts2/model.bin", PartNumber=number, UploadId=upload, Body=part, ChecksumSHA256=digest
        )
        done.append({"ETag": answer["ETag"], "PartNumber": number, "ChecksumSHA256": digest})
    owner.complete_multipart_upload(Bucket=BUCKET, Key="parts2/model.bin", UploadId=upload, MultipartUpload={"Parts": done})
    with opened(s3, f"{BUCKET}/parts2") as source:
        assert source.list().files[0].sha256 is None


def test_a_long_listing_is_complete(s3: S3) -> None:
    owner = s3.client()
    for number in range(1_050):
        owner.put_object(Bucket=BUCKET, Key=f"many/{number:05}", Body=b"x")
    with opened(s3, f"{BUCKET}/many") as source:
        assert len(source.list().files) == 1_050


@pytest.mark.parametrize("account", [None, ("nobody", "x"), (READER[0], "wrong")])
def test_wrong_or_no_credentials_are_unavailable_never_absent(s3: S3, account: tuple[str, str] | None) -> None:
    with opened(s3, f"{BUCKET}/stated", account) as source, pytest.raises(UnavailableError, match="403"):
        source.list()


def test_a_reader_reads_its_own_bucket_only(s3: S3) -> None:
    with opened(s3, "secret/guard") as source, pytest.raises(UnavailableError):
        source.list()


def test_nothing_under_a_prefix_is_an_absence(s3: S3) -> None:
    with opened(s3, f"{BUCKET}/nothing") as source, pytest.raises(NotFoundError):
        source.list()
    put(s3, "stated2", {"x": b"y"})
    with opened(s3, f"{BUCKET}/stated"[:-1]) as source, pytest.raises((NotFoundError, MalformedError)):
        source.list()  # a prefix is a folder, not the start of a name
