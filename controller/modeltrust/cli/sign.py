"""`modeltrust sign DIR --key K | --keyless …`: an OMS signature, through model-signing."""

import os
from pathlib import Path

import click

from modeltrust.cli import files
from modeltrust.cli.output import text
from modeltrust.domain.errors import InvalidInputError

_KEY_BYTES = 65_536


@click.command("sign")
@click.argument("name", metavar="DIR")
@click.option("--key", metavar="FILE", type=Path, help="private key: PEM, EC P-256, P-384 or P-521")
@click.option("--password-env", metavar="NAME", help="environment variable with the key's password")
@click.option("--keyless", is_flag=True, help="sign with an identity token instead of a key")
@click.option("--identity-token", metavar="FILE", type=Path, help="OIDC token for --keyless; else it is asked for")
@click.option("--signature", metavar="FILE", type=Path, help="where to write; default model.sig in DIR")
def command(
    *,
    name: str,
    key: Path | None,
    password_env: str | None,
    keyless: bool,
    identity_token: Path | None,
    signature: Path | None,
) -> None:
    """Sign a model (OpenSSF Model Signing).

    \b
    Examples:
      openssl ecparam -name prime256v1 -genkey -noout -out key.pem
      modeltrust sign ./guard-7b --key key.pem
    """
    from modeltrust.signing.sign import sign_keyless, sign_model  # noqa: PLC0415 - model-signing takes half a second to import

    folder = files.folder(name)
    out = signature or folder / "model.sig"
    if keyless == (key is not None):
        raise InvalidInputError("expected exactly one of --key and --keyless")
    if key is not None:
        files.read_file(key, max_bytes=_KEY_BYTES, what="a private key")  # the library would wait at a pipe for ever
        sign_model(folder, key, out, password=_password(password_env))
    else:
        token = None if identity_token is None else files.read_file(identity_token, max_bytes=65_536, what="an OIDC token")
        sign_keyless(folder, out, token=None if token is None else token.decode("ascii", "replace").strip())
    text.say(f"wrote {out}")


def _password(name: str | None) -> str | None:
    if name is None:
        return None

    if name not in os.environ:
        raise InvalidInputError(f"got --password-env {name}, expected the name of an environment variable that is set")
    return os.environ[name]
