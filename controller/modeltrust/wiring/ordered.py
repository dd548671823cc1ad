"""One order, carried out: the source that it names is opened, evidence that registries keep is fetched, the model is examined."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, ModelTrustError, quote
from modeltrust.domain.evidence import RejectedSignature
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Order, RemoteBundle, Report
from modeltrust.verification import unknowns
from modeltrust.verification.examine import nothing, refusal
from modeltrust.wiring.examination import examiner, open_source


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
        opened = open_source(
            order.identity, order.source, allow_loopback=allow_loopback, progress=progress, read_bytes=order.read_bytes
        )
    except ModelTrustError as error:
        return nothing(order, str(error))
    with contextlib.closing(opened):
        fetched = [_fetched(bundle, allow_loopback=allow_loopback) for bundle in order.remote_bundles]
        had = tuple(piece for piece in fetched if isinstance(piece, bytes))
        evidence = [piece for piece in fetched if isinstance(piece, RejectedSignature)]
        with_root = examiner(trust_root_folder=trust_root_folder, now=order.now)
        return with_root.examine(replace(order, bundles=(*order.bundles, *had)), opened, evidence=evidence)


def _fetched(bundle: RemoteBundle, *, allow_loopback: bool) -> bytes | RejectedSignature:
    """The document, or why there is none: one that cannot be had keeps no other from counting."""
    try:
        return _fetch(bundle, allow_loopback=allow_loopback)
    except MalformedError as error:
        return RejectedSignature(refusal(error), f"evidence cannot be read: {error}")
    except ModelTrustError as error:
        return unknowns.pending(f"evidence cannot be had: {error}")


def _fetch(bundle: RemoteBundle, *, allow_loopback: bool) -> bytes:
    """The one layer of the manifest that the digest names."""
    identity = parse_identity(f"oci://{bundle.reference}")
    with contextlib.closing(open_source(identity, bundle.access, allow_loopback=allow_loopback, read_bytes=False)) as opened:
        files = opened.list().files
        if len(files) != 1 or files[0].size > limits.BUNDLE_BYTES:
            raise MalformedError(
                f"got {len(files)} layers in {quote(bundle.reference)}, expected one of at most {limits.BUNDLE_BYTES} bytes"
            )
        return opened.read(files[0].path, 0, files[0].size)
