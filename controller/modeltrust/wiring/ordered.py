"""One order, carried out: the source that it names is opened, evidence that registries keep is fetched, the model is examined."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, ModelTrustError, UnavailableError, quote
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.source import Source
from modeltrust.domain.work import Order, RemoteBundle, Report
from modeltrust.verification.examine import nothing
from modeltrust.wiring.examination import examiner, open_source


@dataclass(frozen=True, slots=True)
class _WithoutSignatures:
    """A source some of whose evidence could not be had: what it is cannot be said, so no signature of it counts as absent."""

    source: Source
    why: str

    def list(self) -> SourceListing:
        return self.source.list()

    def read(self, path: str, start: int, length: int) -> bytes:
        return self.source.read(path, start, length)

    def signatures(self) -> tuple[bytes, ...]:
        raise UnavailableError(self.why)


def examine_ordered(
    order: Order,
    *,
    allow_loopback: bool = False,
    progress: Callable[[int], None] | None = None,
    trust_root_folder: Path | None = None,
) -> Report:
    """The report on the model that an order names, from the source that it names.

    Args:
        order: with a source.
        allow_loopback: whether this machine may be contacted, for tests on one machine.
        progress: told how many bytes have been read since the last call.
        trust_root_folder: see ``examination.examiner``; judged at the order's time.

    Raises:
        LimitExceededError: the model has more weight files than a report may name.
    """
    try:
        if order.source is None:
            raise InvalidInputError("got an order without a source, expected one")
        opened = open_source(order.identity, order.source, allow_loopback=allow_loopback, progress=progress)
    except ModelTrustError as error:
        return nothing(order, str(error))
    with contextlib.closing(opened):
        source: Source = opened
        try:
            fetched = tuple(_fetch(bundle, allow_loopback=allow_loopback) for bundle in order.remote_bundles)
        except ModelTrustError as error:
            fetched, source = (), _WithoutSignatures(opened, f"evidence cannot be had: {error}")
        with_root = examiner(trust_root_folder=trust_root_folder, now=order.now)
        return with_root.examine(replace(order, bundles=(*order.bundles, *fetched)), source)


def _fetch(bundle: RemoteBundle, *, allow_loopback: bool) -> bytes:
    """The one layer of the manifest that the digest names."""
    identity = parse_identity(f"oci://{bundle.reference}")
    with contextlib.closing(open_source(identity, bundle.access, allow_loopback=allow_loopback)) as opened:
        files = opened.list().files
        if len(files) != 1 or files[0].size > limits.BUNDLE_BYTES:
            raise MalformedError(
                f"got {len(files)} layers in {quote(bundle.reference)}, expected one of at most {limits.BUNDLE_BYTES} bytes"
            )
        return opened.read(files[0].path, 0, files[0].size)
