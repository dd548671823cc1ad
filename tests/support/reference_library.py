"""model-signing, the reference implementation, as an oracle: what it says about the same folder and the same bundle."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import model_signing.hashing
import model_signing.signing
import model_signing.verifying
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import oms
from tests.support.certificates import Pair

_library: Any = model_signing  # its constructors are not annotated


def files(**options: Any) -> Any:
    """Whole files, one digest each."""
    return _library.hashing.Config().use_file_serialization(**options)


def shards(size: int = 4, **options: Any) -> Any:
    """Files in pieces."""
    return _library.hashing.Config().use_shard_serialization(shard_size=size, **options)


def default_certificate_verifier() -> Any:
    """A verifier for certificates that was told no root."""
    return _library.verifying.Config().use_certificate_verifier()


def sign(model: Path, out: Path, key: ec.EllipticCurvePrivateKey, config: Any | None = None) -> bytes:
    """Sign as a publisher would; ``out`` lies outside of the model or is ignored by ``config``."""
    private = _file(out.parent, oms.private_pem(key))
    signer = _library.signing.Config().use_elliptic_key_signer(private_key=private)
    if config is not None:
        signer.set_hashing_config(config)
    signer.sign(model, out)
    return out.read_bytes()


def sign_with_certificate(model: Path, out: Path, signer: Pair, chain: Sequence[Pair]) -> bytes:
    """Sign with a certificate; the bundle holds the chain."""
    folder = out.parent
    _library.signing.Config().use_certificate_signer(
        private_key=_file(folder, oms.private_pem(signer.key)),
        signing_certificate=_file(folder, signer.pem),
        certificate_chain=[_file(folder, pair.pem) for pair in chain],
    ).sign(model, out)
    return out.read_bytes()


def by_key(folder: Path, key: ec.EllipticCurvePrivateKey) -> Any:
    """A verifier for one public key."""
    return by_key_file(_file(folder, oms.public_pem(key)))


def by_key_file(public_key: Path) -> Any:
    """A verifier for the public key in a file."""
    return _library.verifying.Config().use_elliptic_key_verifier(public_key=public_key)


def by_certificate(folder: Path, *roots: Pair) -> Any:
    """A verifier for certificates under these roots."""
    return _library.verifying.Config().use_certificate_verifier(certificate_chain=[_file(folder, root.pem) for root in roots])


def store_of(config: Any) -> Any:
    """The OpenSSL store of a certificate verifier; private, to show what one verification leaves in it."""
    return config._verifier._store


def keyless(folder: Path, trust_config: bytes, *, identity: str, issuer: str) -> Any:
    """A verifier for one identity under an instance of our own; no network."""
    return _library.verifying.Config().use_sigstore_verifier(
        identity=identity, oidc_issuer=issuer, trust_config=_file(folder, trust_config)
    )


def accepts(config: Any, model: Path, bundle: bytes, scratch: Path) -> bool:
    """Whether the library accepts; any exception is its way to refuse."""
    return failure(config, model, bundle, scratch) is None


def failure(config: Any, model: Path | str, bundle: bytes, scratch: Path) -> Exception | None:
    """The exception that the library raises, if any."""
    try:
        config.verify(model, _file(scratch, bundle))
    except Exception as error:  # noqa: BLE001 - twelve kinds were seen (facts/signing.md section 4.3)
        return error
    return None


def _file(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path
