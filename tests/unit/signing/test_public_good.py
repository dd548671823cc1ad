"""The public good instance: windows as in its real root, which keeps a CA that ended in 2022 and a CT key that ended before it.

The keys of the real root cannot sign for us, so the test CA's stand in for them, entry by entry, with the real windows.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modeltrust.domain.evidence import PUBLIC_GOOD, RejectedSignature, SignatureEvidence
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust
from modeltrust.policy.signers import Counted, match
from modeltrust.signing.trust_root import Authority, Log, covering, parse_trust_root
from modeltrust.signing.tuf_root import embedded_root
from modeltrust.signing.verify import Verifier
from tests.support import oms
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


REAL = embedded_root()
ENDED, CURRENT = TestSigstore(now=at("2021-04-10"), name="ended"), TestSigstore(now=at("2022-05-01"), name="current")
SIGNER = replace(
    oms.signer(KeylessTrust((KeylessIdentity("release", ISSUER, IDENTITY),), None, frozenset())), scope=(Glob("hf://acme/**"),)
)
CA_END, CT_END = at("2022-12-31T23:59:59"), at("2022-10-31T23:59:59")


def with_our_keys(real: bytes) -> bytes:
    """The real root, each entry that ended with ENDED's keys and each other one with CURRENT's; the oldest log is ENDED's."""
    root: dict[str, Any] = json.loads(real)
    root["tlogs"] = [
        {**ours.root_document()["tlogs"][0], "publicKey": _key(ours, "tlogs", entry)}
        for ours, entry in ((CURRENT if number else ENDED, entry) for number, entry in enumerate(root["tlogs"]))
    ]
    root["ctlogs"] = [
        {**ours.root_document()["ctlogs"][0], "publicKey": _key(ours, "ctlogs", entry)}
        for ours, entry in ((_ours(entry["publicKey"]), entry) for entry in root["ctlogs"])
    ]
    for entry in root["certificateAuthorities"]:
        entry["certChain"] = {"certificates": _ours(entry).fulcio.chain()}
    for entry in root["timestampAuthorities"]:
        entry["certChain"] = {"certificates": _ours(entry).tsa.chain(_ours(entry).tsa_leaf)}
    return json.dumps(root).encode()


def _ours(entry: dict[str, Any]) -> TestSigstore:
    return ENDED if "end" in entry["validFor"] else CURRENT


def _key(ours: TestSigstore, part: str, real: dict[str, Any]) -> dict[str, Any]:
    return {**ours.root_document()[part][0]["publicKey"], "validFor": real["publicKey"]["validFor"]}


OURS = Verifier(with_our_keys(REAL))  # our copy in the place of the wheel's


def judged(instance: TestSigstore, **options: Any) -> SignatureEvidence | RejectedSignature:
    return OURS(instance.bundle(oms.payload(), **options), oms.listing(), signers=(SIGNER,), now=NOW, content=None)


@pytest.mark.parametrize(
    ("instance", "options"),
    [
        (ENDED, {"signed_at": at("2022-06-01")}),
        (ENDED, {"signed_at": CT_END}),
        (ENDED, {"signed_at": CA_END, "sct_by": CURRENT}),
        (CURRENT, {"signed_at": NOW}),
        (CURRENT, {"signed_at": NOW, "version": 2}),
    ],
    ids=["both before they ended", "the CT key's last second", "the CA's last second", "today", "today, Rekor v2"],
)
def test_a_signature_within_the_windows_counts(instance: TestSigstore, options: dict[str, Any]) -> None:
    evidence = judged(instance, **options)
    assert isinstance(evidence, SignatureEvidence), evidence
    assert (evidence.vouched_by, evidence.signed_at) == ((PUBLIC_GOOD,), options["signed_at"])
    assert len(evidence.authorities) >= 4  # CAs, CT log and log by their keys: revoking one of them is heard
    assert isinstance(match(evidence, SIGNER, "hf://acme/guard", NOW), Counted)


@pytest.mark.parametrize(
    ("instance", "options", "what"),
    [
        (ENDED, {"signed_at": CT_END + 1}, "CT log"),
        (ENDED, {"signed_at": CA_END + 1, "sct_by": CURRENT}, "CA"),
        (ENDED, {"signed_at": NOW}, "CA"),
        (CURRENT, {"signed_at": NOW, "sct_by": ENDED}, "CT log"),
        (CURRENT, {"signed_at": at("2022-04-05"), "sct_by": ENDED}, "CA"),
        (CURRENT, {"signed_at": at("2025-09-22"), "version": 1}, "transparency log"),
    ],
    ids=["CT key ended", "CA ended", "both ended long ago", "an ended CT key stands in", "CA not yet", "log not yet"],
)
def test_a_signature_in_an_ended_window_is_expired(instance: TestSigstore, options: dict[str, Any], what: str) -> None:
    answer = judged(instance, **options)
    assert answer == RejectedSignature(Reason.SIGNER_EXPIRED, f"the trust root does not trust the {what} at the signing time")


def ends(entries: Iterable[Log | Authority]) -> set[datetime]:
    return {entry.window.end for entry in entries if entry.window.end is not None}


def test_the_real_root_is_parsed_and_its_ended_entries_are_recognised() -> None:
    root = parse_trust_root(REAL)
    assert {int(end.timestamp()) for end in ends(root.authorities)} >= {CA_END}
    assert {int(end.timestamp()) for end in ends(root.ct_logs)} >= {CT_END}
    for entries in (root.logs, root.ct_logs, root.authorities, root.timestamp_authorities):
        ended = [entry for entry in entries if entry.window.end is not None and entry.window.end < datetime.fromtimestamp(NOW, UTC)]
        assert not covering(ended, NOW)
        assert covering(entries, NOW)
    assert covering(root.authorities, at("2021-06-01"))
    assert not covering(root.authorities, at("2021-03-06"))
