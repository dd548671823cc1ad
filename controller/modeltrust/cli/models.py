"""DIR or REF: opening the model that a command names."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from modeltrust.cli import files
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.listing import FileKind, SourceListing
from modeltrust.domain.reference import parse_reference
from modeltrust.domain.source import Source
from modeltrust.verification.content import complete
from modeltrust.wiring.examination import open_folder, open_reference

Advance = Callable[[int], None]


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
        with open_reference(reference, revision, plain_http=plain_http) as source:
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


plain_http_option = click.option("--plain-http", is_flag=True, help="speak HTTP, to a registry on this machine")
