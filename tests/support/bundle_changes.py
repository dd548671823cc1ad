"""Ways to spoil a keyless bundle after it was signed, one thing each (facts/signing.md section 6.6)."""

import base64
from collections.abc import Callable
from typing import Any

from tests.support import oms
from tests.support.sigstore_ca import b64

Change = Callable[[dict[str, Any]], None]


def entry(name: str, item: Any) -> Change:
    """Another field in the log entry."""

    def change(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["tlogEntries"][0][name] = item

    return change


def proof(name: str, item: Any) -> Change:
    """Another field in the inclusion proof."""

    def change(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"][name] = item

    return change


def entries(count: int) -> Change:
    """The log entry so many times."""

    def change(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["tlogEntries"] = document["verificationMaterial"]["tlogEntries"][:1] * count

    return change


def zeros_left_out(document: dict[str, Any]) -> None:
    """As Go writes the first entry of a log; of a later one this takes away what is needed."""
    first = document["verificationMaterial"]["tlogEntries"][0]
    for holder, name in ((first, "logIndex"), (first["inclusionProof"], "logIndex"), (first["inclusionProof"], "hashes")):
        holder.pop(name)


def promise_removed(document: dict[str, Any]) -> None:
    del document["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]


def token_removed(document: dict[str, Any]) -> None:
    del document["verificationMaterial"]["timestampVerificationData"]


def token_twice(document: dict[str, Any]) -> None:
    document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] *= 2


def tokens(count: int) -> Change:
    """The timestamp and others like it, each different and none of them good: their last bytes, which sign, are others."""

    def change(document: dict[str, Any]) -> None:
        stamps = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
        good = base64.b64decode(stamps[0]["signedTimestamp"])
        stamps += [{"signedTimestamp": b64(good[:-2] + number.to_bytes(2, "big"))} for number in range(count - 1)]

    return change


def checkpoint_altered(document: dict[str, Any]) -> None:
    checkpoint = document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = checkpoint["envelope"].replace("\n5\n", "\n6\n", 1)


def payload_altered(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payload"] = b64(oms.payload({"config.json": b"evil"}))


def payload_type_altered(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payloadType"] = "text/plain"


def second_signature(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["signatures"] *= 2


def single_certificate_in_0_2(document: dict[str, Any]) -> None:
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
