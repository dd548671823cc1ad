"""KServe's downloader: the real `kserve-storage` from PyPI, in an image that is made here, since KServe's own is out of reach.

Around the package stands what KServe's image and its Pod webhook have: an entry point that takes pairs of arguments, its name, its
user, and the environment that `pkg/credentials/s3` writes for a Secret with an endpoint (read on 2026-11-24).
"""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from e2e import images
from e2e.kserve import MOUNTED, serving_pod
from e2e.node import Node
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reference import Identity, model_reference
from modeltrust.references.annotations import CONTENT_DIGESTS
from tests.support.s3 import READER, S3

Object = dict[str, Any]
IMAGE = "docker.io/kserve/storage-initializer:v0.21.0"
LISTED = Path(__file__).parent.parent / "requirements" / "kserve.txt"
BUNDLE = "global-ca-bundle"
_SECRET = "storage"
_BUNDLES = "/etc/ssl/custom-certs"
_ENTRY = "storage-initializer/scripts/initializer-entrypoint"
_MADE = b"1"  # counts how the image is made: another number is another place in the cache
_START = b"""import sys
from kserve_storage import Storage
from kserve_storage.logging import configure_logging
configure_logging()
Storage.download_files(sys.argv[1::2], sys.argv[2::2])
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A model in a bucket, as a Pod of KServe names it.

    Attributes:
        server: that holds it.
        path: ``bucket/key``.
        digest: of its content.
    """

    server: S3
    path: str
    digest: ContentDigest

    @property
    def identity(self) -> Identity:
        """The endpoint is part of it."""
        return Identity(model_reference("s3", self.path, resolver=self.server.endpoint), self.digest)

    @property
    def stated(self) -> dict[str, str]:
        """The annotation that says what its content is; KServe hands annotations of an InferenceService on to its Pods."""
        return {CONTENT_DIGESTS: json.dumps({self.identity.reference.text: str(self.digest)})}

    def pod(self, namespace: str, name: str) -> Object:
        """The Pod that KServe's controller and Pod webhook make for it."""
        uri, host = f"s3://{self.path}", self.server.host
        document = serving_pod(namespace, name, self.identity)
        document["metadata"]["annotations"] = self.stated | {"internal.serving.kserve.io/storage-initializer-sourceuri": uri}
        (fetch,) = document["spec"]["initContainers"]
        values = {"S3_USE_HTTPS": "1", "S3_ENDPOINT": host, "AWS_ENDPOINT_URL": f"https://{host}", "S3_VERIFY_SSL": "1"}
        values |= {"AWS_DEFAULT_REGION": "us-east-1", "CA_BUNDLE_CONFIGMAP_NAME": BUNDLE, "CA_BUNDLE_VOLUME_MOUNT_POINT": _BUNDLES}
        values |= {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_XET_HIGH_PERFORMANCE": "1"}
        fetch |= {"image": IMAGE, "args": [uri, MOUNTED]}
        fetch["env"] = [*_keys(), *({"name": key, "value": value} for key, value in values.items())]
        fetch["volumeMounts"] = [*fetch["volumeMounts"], {"name": "cabundle-cert", "mountPath": _BUNDLES, "readOnly": True}]
        document["spec"]["volumes"].append({"name": "cabundle-cert", "configMap": {"name": BUNDLE}})
        return document


def prepare(node: Node, namespace: str, server: S3) -> None:
    """What an admin of KServe gives a namespace: credentials, and the authority of the store."""
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _SECRET, "namespace": namespace}}
    bundle: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": BUNDLE, "namespace": namespace}}
    node.apply(
        secret | {"stringData": {"awsAccessKeyID": READER[0], "awsSecretAccessKey": READER[1]}},
        bundle | {"data": {"cabundle.crt": server.ca.read_text()}},
    )


def load(node: Node) -> None:
    """Build the image where it is not in the cache, and import it."""
    archive = _folder() / "image.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            site, made = Path(scratch) / "site", Path(scratch) / "image.tar"
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-compile"]
            subprocess.run([*pip, "--require-hashes", "--only-binary=:all:", "--target", site, "-r", LISTED], check=True)
            _write(made, site)
            made.rename(archive)
    node.containers.load(archive, IMAGE, images.digest_of(archive))


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_of = (LISTED.read_bytes(), _START, _MADE, sys.version.encode(), sys.base_prefix.encode())
    return cache / "modeltrust" / "kserve" / hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]


def _write(target: Path, site: Path) -> None:
    python, library = Path(sys.executable).resolve(), Path(sysconfig.get_paths()["stdlib"])
    standard = images.standard_library()
    foreign = [path for path in sorted(site.rglob("*")) if path.is_file()]
    binaries = [python, *(path for path in (*standard, *foreign) if ".so" in path.suffixes)]
    layer = BytesIO()
    with tarfile.open(fileobj=layer, mode="w", dereference=True) as archive:
        for path in (python, *images.shared(binaries, besides=site), *standard):
            archive.add(path, arcname=str(path).lstrip("/"), recursive=False)
        for path in foreign:
            archive.add(path, arcname=f"{library}/site-packages/{path.relative_to(site)}".lstrip("/"), recursive=False)
        entry = tarfile.TarInfo(_ENTRY)
        entry.size, entry.mode = len(_START), 0o755
        archive.addfile(entry, BytesIO(_START))
        scratch = tarfile.TarInfo("tmp")
        scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(scratch)
    environment = ["PYTHONDONTWRITEBYTECODE=1", "HOME=/tmp", f"LD_LIBRARY_PATH={python.parent.parent / 'lib'}"]
    config = {"Entrypoint": [str(python), f"/{_ENTRY}"], "Env": environment, "User": "1000:1000"}
    images.write(target, IMAGE, layer.getvalue(), config)


def _keys() -> list[Object]:
    names = {"AWS_ACCESS_KEY_ID": "awsAccessKeyID", "AWS_SECRET_ACCESS_KEY": "awsSecretAccessKey"}
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": key}}} for name, key in names.items()]
