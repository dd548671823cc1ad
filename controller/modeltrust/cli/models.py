"""DIR or REF: opening the model that a command names."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from modeltrust.cli import files
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.listing import FileKind, SourceListing
from modeltrust.domain.reference import ModelReference, parse_reference
from modeltrust.domain.source import Source
from modeltrust.domain.work import SourceAccess
from modeltrust.verification.content import complete
from modeltrust.wiring.examination import open_folder, open_reference, public_access

Advance = Callable[[int], None]
_Command = TypeVar("_Command", bound=Callable[..., Any])


@contextlib.contextmanager
def opened(name: str, *, signature: Path | None = None, plain_http: bool = False) -> Iterator[Source]:
    """The source that a command names, with a progress bar on a terminal.

    Args:
        name: a folder or a reference such as ``oci://host/repository@sha256:…``.
        signature: where the signature of a folder is, when not model.sig in it.
        plain_http: speak HTTP to a registry on this machine.

    Raises:
        InvalidInputError: neither a folder nor a reference that some source serves.
    """
    if "://" in name:
        if signature is not None:
            raise InvalidInputError("got --signature with a reference, expected it with a folder only")
        reference, revision = parse_reference(name)
        with open_reference(reference, revision, access=_access(reference), plain_http=plain_http) as source:
            yield source
        return
    path = Path(name)
    if not files.is_folder(path):
        what = "a folder or a reference like oci://host/repository@sha256:…"
        raise InvalidInputError(f"got {quote(name)}, expected {what}")
    with _progress() as advance:
        yield open_folder(path, signature=signature, progress=advance)


def listed(source: Source) -> SourceListing:
    """Every file with its sha256: what the source states none of is read, small files of a hub or a whole bucket.

    Raises:
        ModelTrustError: the source does not answer, or with other bytes than it states.
    """
    listing = source.list()
    unstated = any(entry.sha256 is None and entry.git_sha1 is None and entry.kind is FileKind.FILE for entry in listing.files)
    return complete(listing, source, read_bytes=unstated)


@contextlib.contextmanager
def _progress() -> Iterator[Advance | None]:
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def advance(count: int) -> None:
            progress.advance(task, count)

        yield advance


def plain_http_option(command: _Command) -> _Command:
    """The options of every command that reads a REF: how its source is reached."""
    command = click.option("--plain-http", is_flag=True, help="speak HTTP, to a registry on this machine")(command)
    command = _kept("--token-env", metavar="NAME", help="send the access token in this environment variable to the source")(command)
    command = _kept("--ca", metavar="FILE", help="PEM of authorities instead of the system's")(command)
    return _kept("--redirects-to", metavar="URL", multiple=True, help="https://host that the source may redirect to")(command)


def _kept(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """An option that ``opened`` reads from the context, so that no command has to hand it on."""

    def keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
        context.meta[f"{__name__}.{parameter.name}"] = value

    return click.option(name, expose_value=False, callback=keep, **attributes)


def _access(reference: ModelReference) -> SourceAccess | None:
    """What the options say beside the reference; None where they say nothing.

    Raises:
        InvalidInputError: the environment variable is not set, or the file cannot be read.
    """
    context = click.get_current_context(silent=True)
    meta = {} if context is None else context.meta
    variable, ca = meta.get(f"{__name__}.token_env"), meta.get(f"{__name__}.ca")
    redirects = tuple(meta.get(f"{__name__}.redirects_to") or ())
    if not variable and not ca and not redirects:
        return None
    token = os.environ.get(variable, "") if variable else ""
    if variable and not token:
        raise InvalidInputError(f"--token-env: environment variable {quote(variable)} is not set")
    authorities = files.read_file(ca, max_bytes=limits.ROOTS_CHARACTERS, what="PEM certificates") if ca else b""
    public = public_access(reference)
    return replace(public, endpoints=(*public.endpoints, *redirects), password=token, ca=authorities)
