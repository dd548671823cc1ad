"""A private Sigstore of the real services on loopback: Fulcio, a CT log, Rekor v2, a timestamp authority; `make tools` builds them.

How each is started: facts/real-components.md section 3. No database, no network; what the logs hold ends with the processes.
"""

import contextlib
import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support import tools
from tests.support.oidc_issuer import AUDIENCE
from tests.support.sigstore_ca import Authority, b64, der, rfc3339, spki

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
PASSWORD = "of-a-test"
_PEM, _PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
_PLAIN = serialization.NoEncryption()
_ED25519_NOTE = b"\x01"  # type of key in a signed note (C2SP signed-note)


@dataclass(slots=True)
class PrivateSigstore:
    """One instance; use ``running``.

    Attributes:
        folder: keys, configuration and logs.
        issuers: OIDC issuers by URL: Fulcio's configuration of each, beside URL and audience.
        before_fulcio: words before Fulcio's command line.
    """

    folder: Path
    issuers: Mapping[str, Mapping[str, str]]
    before_fulcio: tuple[str, ...] = ()
    _fulcio: Authority = field(init=False)
    _ct_key: ec.EllipticCurvePrivateKey = field(init=False)
    _log_key: ed25519.Ed25519PrivateKey = field(init=False)
    _began: int = field(default_factory=lambda: int(time.time()))
    _ports: dict[str, int] = field(default_factory=dict)
    _processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fulcio = Authority("private fulcio", self._began, ExtendedKeyUsageOID.CODE_SIGNING)
        self._ct_key = ec.generate_private_key(ec.SECP256R1())
        self._log_key = ed25519.Ed25519PrivateKey.generate()

    def start(self) -> None:
        """Start the services and wait until each listens. The issuers must answer by then: Fulcio asks them once."""
        self._start_ct_log()
        self._start("tsa", [str(self._port("tsa"))])
        self._start_rekor()
        for name in ("ctlog", "tsa", "rekor"):
            self._wait(name)
        self._start_fulcio()
        self._wait("fulcio")

    def stop(self) -> None:
        """Stop what runs."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    # --- trust material -----------------------------------------------------------------------------------------------------

    def root_document(self) -> dict[str, Any]:
        """trusted_root.json as JSON objects; the timestamp authority makes its own chain, which it is asked for."""
        window = {"start": rfc3339(self._began - 60)}
        stamping = [{"rawBytes": b64(der(certificate))} for certificate in self._stamping_chain()]
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_transparency_log(self._url("rekor"), self._log_key, "PKIX_ED25519", self.log_id, window)],
            "certificateAuthorities": [_authority(self._url("fulcio"), self._fulcio.chain(), window)],
            "ctlogs": [
                _transparency_log(self._url("ctlog"), self._ct_key, "PKIX_ECDSA_P256_SHA_256", _key_id(self._ct_key), window)
            ],
            "timestampAuthorities": [_authority(self._url("tsa"), stamping, window)],
        }

    def trusted_root(self) -> bytes:
        """trusted_root.json."""
        return json.dumps(self.root_document()).encode()

    def signing_config(self, oidc_url: str) -> dict[str, Any]:
        """Where a signer finds the services; the OIDC issuer's discovery document is read even with a token at hand."""

        def service(url: str, version: int = 1) -> list[dict[str, Any]]:
            window = {"start": rfc3339(self._began - 60)}
            return [{"url": url, "majorApiVersion": version, "validFor": window, "operator": "test"}]

        return {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(self._url("fulcio")),
            "oidcUrls": service(oidc_url),
            "rekorTlogUrls": service(self._url("rekor"), 2),
            "tsaUrls": service(f"{self._url('tsa')}/api/v1/timestamp"),
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }

    def trust_config(self, oidc_url: str) -> bytes:
        """ClientTrustConfig for model-signing."""
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
                "trustedRoot": self.root_document(),
                "signingConfig": self.signing_config(oidc_url),
            }
        ).encode()

    def described_to_cosign(self, folder: Path) -> list[str]:
        """Arguments of ``cosign trusted-root create``; writes the PEM files that they name into the folder."""
        start = f"start-time={rfc3339(self._began - 60)}"
        chains: dict[str, list[x509.Certificate]] = {
            "fulcio": [self._fulcio.intermediate, self._fulcio.root],
            "tsa": self._stamping_chain(),
        }
        keys: dict[str, Any] = {"rekor": self._log_key.public_key(), "ctlog": self._ct_key.public_key()}
        files = {name: b"".join(item.public_bytes(_PEM) for item in chain) for name, chain in chains.items()}
        files |= {name: key.public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo) for name, key in keys.items()}
        for name, data in files.items():
            (folder / f"{name}.pem").write_bytes(data)
        origin = f",origin={LOOPBACK}"
        return [
            *(f"--{name}=url={self._url(name)},certificate-chain={name}.pem,{start}" for name in chains),
            f"--rekor=url={self._url('rekor')},public-key=rekor.pem,{start}{origin}",
            f"--ctfe=url={self._url('ctlog')},public-key=ctlog.pem,{start}",
        ]

    @property
    def log_id(self) -> bytes:
        """Of Rekor: the hash of its key as a signed note names it, which is not the hash of the DER key alone."""
        raw = self._log_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(LOOPBACK.encode() + b"\n" + _ED25519_NOTE + raw).digest()

    def _stamping_chain(self) -> list[x509.Certificate]:
        answer = urllib3.request("GET", f"{self._url('tsa')}/api/v1/timestamp/certchain", retries=False, timeout=10)
        return x509.load_pem_x509_certificates(answer.data)

    # --- processes ----------------------------------------------------------------------------------------------------------

    def _start_ct_log(self) -> None:
        roots, key = self.folder / "ct-roots.pem", self.folder / "ct-key.der"
        roots.write_bytes(self._fulcio.root.public_bytes(_PEM))
        key.write_bytes(self._ct_key.private_bytes(serialization.Encoding.DER, _PKCS8, _PLAIN))
        self._start("ctlog", [str(self._port("ctlog")), str(roots), str(key)])

    def _start_rekor(self) -> None:
        key = self.folder / "rekor-key.pem"
        key.write_bytes(self._log_key.private_bytes(_PEM, _PKCS8, _PLAIN))
        flags = ["serve", *self._at("http-address", "http-port", "rekor"), *self._at("grpc-address", "grpc-port", "rekor-grpc")]
        flags += [f"--http-metrics-port={self._port('rekor-metrics')}", f"--storage-dir={self.folder / 'rekor'}"]
        # The name in checkpoints; cosign compares it with the host of the log's URL.
        flags += [f"--hostname={LOOPBACK}", f"--signer-filepath={key}", "--checkpoint-interval=200ms", "--batch-max-age=100ms"]
        self._start("rekor", flags)

    def _start_fulcio(self) -> None:
        chain, key, config = (self.folder / name for name in ("fulcio.pem", "fulcio-key.pem", "fulcio.json"))
        chain.write_bytes(b"".join(item.public_bytes(_PEM) for item in (self._fulcio.intermediate, self._fulcio.root)))
        encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
        key.write_bytes(self._fulcio.key.private_bytes(_PEM, _PKCS8, encryption))
        entries = {url: {"IssuerURL": url, "ClientID": AUDIENCE, **more} for url, more in self.issuers.items()}
        config.write_text(json.dumps({"OIDCIssuers": entries}), encoding="utf-8")
        flags = ["serve", *self._at("host", "port", "fulcio"), *self._at("grpc-host", "grpc-port", "fulcio-grpc")]
        flags += [f"--metrics-port={self._port('fulcio-metrics')}", "--legacy-unix-domain-socket=", f"--config-path={config}"]
        flags += ["--ca=fileca", f"--fileca-cert={chain}", f"--fileca-key={key}", f"--fileca-key-passwd={PASSWORD}"]
        self._start("fulcio", [*flags, "--fileca-watch=false", f"--ct-log-url={self._url('ctlog')}"], self.before_fulcio)

    def _start(self, name: str, arguments: list[str], before: tuple[str, ...] = ()) -> None:
        with self._said(name).open("wb") as log:
            command = [*before, str(tools.program(name)), *arguments]
            self._processes[name] = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

    def _wait(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self._port(name)), timeout=1):
                return
            assert self._processes[name].poll() is None, self._said(name).read_text()
            assert time.monotonic() < deadline, self._said(name).read_text()
            time.sleep(0.02)

    def _said(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self._port(name)}{'/test' if name == 'ctlog' else ''}"

    def _at(self, host: str, port: str, name: str) -> list[str]:
        return [f"--{host}={LOOPBACK}", f"--{port}={self._port(name)}"]

    def _port(self, name: str) -> int:
        if name not in self._ports:
            with socket.create_server((LOOPBACK, 0)) as probe:
                self._ports[name] = int(probe.getsockname()[1])
        return self._ports[name]


@contextlib.contextmanager
def running(folder: Path, issuers: Mapping[str, Mapping[str, str]], *before_fulcio: str) -> Iterator[PrivateSigstore]:
    """An instance that is stopped in the end."""
    instance = PrivateSigstore(folder, issuers, before_fulcio)
    try:
        instance.start()
        yield instance
    finally:
        instance.stop()


def _key_id(key: Any) -> bytes:
    return hashlib.sha256(spki(key.public_key())).digest()


def _transparency_log(url: str, key: Any, details: str, log_id: bytes, window: dict[str, str]) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(spki(key.public_key())), "keyDetails": details, "validFor": dict(window)},
        "logId": {"keyId": b64(log_id)},
    }


def _authority(url: str, chain: list[dict[str, str]], window: dict[str, str]) -> dict[str, Any]:
    return {
        "subject": {"organization": "test", "commonName": "private"},
        "uri": url,
        "certChain": {"certificates": chain},
        "validFor": dict(window),
    }
