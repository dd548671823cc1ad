"""Signing: models through model-signing, approvals with a key. Never on the admission path, never in a worker.

model-signing is imported here alone, and only when it is needed: it takes half a second and wants pyOpenSSL beside it without
saying so (facts/signing.md section 1).
"""

import base64
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import is_residue
from modeltrust.domain.dsse import IN_TOTO, pae
from modeltrust.domain.errors import InvalidInputError, UnavailableError, quote
from modeltrust.signing import keys
from modeltrust.signing.bundle import MEDIA_TYPE


def sign_model(folder: Path, key: Path, out: Path, *, password: str | None = None) -> None:
    """Sign every file of a folder with a private key.

    Signed is exactly what the content digest counts: every file but the signature itself and the fixed residue list.

    Args:
        folder: the model.
        key: PEM file with an EC private key.
        out: where the bundle is written, atomically; may lie in the folder.
        password: of an encrypted key.

    Raises:
        InvalidInputError: no such folder or key, a key that OMS does not sign with, an empty model, a symbolic link.
    """
    keys.load_private_key(_read_key(key), password=password)  # model-signing answers RSA and Ed25519 with AttributeError
    signing, _ = _library()
    secret = None if password is None else password.encode()
    _sign(folder, out, lambda: signing.Config().use_elliptic_key_signer(private_key=key, password=secret))


def sign_keyless(folder: Path, out: Path, *, token: str | None = None, trust_config: Path | None = None) -> None:
    """Sign every file of a folder with a short-lived certificate; needs the network unless the instance is local.

    Args:
        folder: the model.
        out: where the bundle is written, atomically.
        token: OIDC identity token; else ambient credentials, else a browser asks for one.
        trust_config: ClientTrustConfig file of another instance than the public good one.

    Raises:
        InvalidInputError: as ``sign_model``.
        UnavailableError: the instance or the identity provider refuses or does not answer.
    """
    signing, _ = _library()
    options: dict[str, Any] = {"use_ambient_credentials": token is None, "identity_token": token, "trust_config": trust_config}
    _sign(folder, out, lambda: signing.Config().use_sigstore_signer(**options))


def sign_approval(payload: bytes, private_key_pem: bytes, *, password: str | None = None) -> bytes:
    """Sign the payload of ``approval.build_approval``.

    Args:
        payload: the statement.
        private_key_pem: EC key.
        password: of an encrypted key.

    Returns:
        A Sigstore bundle v0.3 with a publicKey hint, as ``signing.verify`` reads it.

    Raises:
        InvalidInputError: a key that OMS does not sign with.
    """
    key = keys.load_private_key(private_key_pem, password=password)
    public = key.public_key()
    signature = key.sign(pae(IN_TOTO, payload), keys.algorithm(public))
    return strict_json.dumps(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": keys.hint(public)}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode("ascii"),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": base64.b64encode(signature).decode("ascii"), "keyid": ""}],
            },
        }
    )


def _library() -> tuple[Any, Any]:
    try:
        from model_signing import hashing, signing  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise InvalidInputError(f"signing needs model-signing and pyopenssl: {error}") from error
    return signing, hashing


def _sign(folder: Path, out: Path, config: Callable[[], Any]) -> None:
    ignored = _residue(folder, out)
    _, hashing = _library()
    hashed = hashing.Config().use_file_serialization().set_ignored_paths(paths=ignored, ignore_git_paths=False)
    with tempfile.TemporaryDirectory(prefix="modeltrust-sign-") as scratch:
        written = Path(scratch) / "bundle"
        try:
            config().set_hashing_config(hashed).sign(folder, written)
        except Exception as error:
            raise UnavailableError(f"cannot sign {quote(folder)}: {type(error).__name__}: {quote(error)}") from error
        _replace(out, written.read_bytes())


def _replace(out: Path, data: bytes) -> None:
    """Write a file at once or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=".modeltrust-", delete=False) as stream:
            stream.write(data)
        scratch = Path(stream.name)
        scratch.chmod(0o644)
        scratch.replace(out)
    except OSError as error:
        raise InvalidInputError(f"cannot write {quote(out)}: {error.strerror}") from error


def _residue(folder: Path, out: Path) -> list[str]:
    """What is left out, relative to the folder: exactly what the content digest leaves out, and the signature itself."""
    counted, residue = _walk(folder, out)
    if not counted:
        raise InvalidInputError(f"got no files in {quote(folder)}, expected a model: an empty manifest fits every folder")
    return residue


def _walk(folder: Path, out: Path) -> tuple[int, list[str]]:
    if not folder.is_dir():
        raise InvalidInputError(f"got {quote(folder)}, expected a folder")
    counted, residue = 0, []
    signature = out.resolve()
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise InvalidInputError(f"got a symbolic link {quote(relative)}, expected files only")
            if name in files and not path.is_file():
                # reading a pipe or device would wait or never end
                raise InvalidInputError(f"got {quote(relative)}, which is no ordinary file, expected files only")
            if name in files and (is_residue(relative) or path.resolve() == signature):
                residue.append(relative)
            elif name in files:
                counted += 1
            if counted + len(residue) > limits.FILES:
                raise InvalidInputError(f"got more than {limits.FILES} files in {quote(folder)}")
    return counted, residue


def _read_key(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(limits.KEY_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(f"cannot read the key {quote(path)}: {error.strerror}") from error
