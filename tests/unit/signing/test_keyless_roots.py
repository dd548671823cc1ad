"""Which entries of a trust root may vouch, and when."""

import json
from dataclasses import replace

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.evidence import PUBLIC_GOOD, RejectedSignature, SignatureEvidence
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessTrust, TrustedSigner
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.signing.verify import Verifier
from tests.support import oms
from tests.support.keyless_cases import (
    FOREIGN,
    INSTANCE,
    PAYLOAD,
    SIGNERS,
    accepted,
    minted,
    refused,
    sigstore_accepts,
    trusting,
)
from tests.support.sigstore_ca import IDENTITY, NOW, rfc3339

VERSIONS = pytest.mark.parametrize("version", [1, 2])


@VERSIONS
@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_root_without_a_part_that_is_needed_verifies_nothing(version: int, part: str, empty: bool) -> None:  # noqa: FBT001 - a table
    root = INSTANCE.root_document()
    if empty:
        root[part] = []
    else:
        del root[part]
    if part == "timestampAuthorities" and version == 1:
        assert accepted(minted(version=1), root=root).subject == IDENTITY
    elif part == "certificateAuthorities":
        refused(minted(version=version), Reason.SIGNER_NOT_TRUSTED, root=root)
    else:
        refused(minted(version=version), Reason.SIGNER_NOT_TRUSTED, root=root, says="does not list")


def test_a_root_with_the_fulcio_root_alone_verifies_nothing() -> None:
    root = INSTANCE.root_document()
    del root["certificateAuthorities"][0]["certChain"]["certificates"][0]
    refused(minted(), Reason.SIGNER_NOT_TRUSTED, root=root)


@pytest.mark.parametrize("kept", [slice(0, 1), slice(0, 2)])
def test_a_timestamp_chain_without_its_root_verifies_nothing(kept: slice) -> None:
    root = INSTANCE.root_document()
    chain = root["timestampAuthorities"][0]["certChain"]
    chain["certificates"] = chain["certificates"][kept]
    refused(minted(version=2), root=root)


@VERSIONS
@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
def test_an_entry_whose_window_ended_before_the_signing_time_does_not_vouch(version: int, part: str) -> None:
    root = INSTANCE.root_document()
    window = root[part][0].get("validFor") or root[part][0]["publicKey"]["validFor"]
    document = minted(version=version)
    window["end"] = rfc3339(NOW + 1)
    assert accepted(document, root=root).subject == IDENTITY
    window["end"] = rfc3339(NOW)
    if part != "timestampAuthorities":
        assert sigstore_accepts(document, root)
        refused(document, Reason.SIGNER_EXPIRED, "at the signing time", root=root)
    elif version == 2:
        refused(document, root=root)


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_an_entry_whose_window_starts_after_the_signing_time_does_not_vouch(part: str) -> None:
    root = INSTANCE.root_document()
    window = root[part][0].get("validFor") or root[part][0]["publicKey"]["validFor"]
    window["start"] = rfc3339(NOW + 1)
    document = minted()
    assert sigstore_accepts(document, root)
    refused(document, Reason.SIGNER_EXPIRED, root=root)


def test_a_log_that_a_bundle_does_not_name_cannot_stand_in() -> None:
    """sigstore-python tries all keys when it does not know the one that is named."""
    root = INSTANCE.root_document()
    root["tlogs"] += FOREIGN.root_document()["tlogs"]
    root["ctlogs"] += FOREIGN.root_document()["ctlogs"]
    document = minted()
    assert set(accepted(document, root=root).vouched_by).isdisjoint(FOREIGN.fingerprints())
    del root["ctlogs"][0]
    refused(document, Reason.SIGNER_NOT_TRUSTED, says="CT log", root=root)


def test_the_right_one_of_several_roots_is_found() -> None:
    signers = (trusting(FOREIGN.trusted_root(), name="other"), *SIGNERS, trusting(None, name="public"))
    assert set(accepted(minted(), signers=signers).vouched_by) <= INSTANCE.fingerprints()
    assert set(accepted(FOREIGN.document(PAYLOAD), signers=signers).vouched_by) <= FOREIGN.fingerprints()


def test_a_root_whose_key_was_removed_no_longer_vouches() -> None:
    evidence = accepted(minted())
    signer = trusting(INSTANCE.trusted_root())
    assert isinstance(signer.trust, KeylessTrust)
    rotated = replace(signer, trust=replace(signer.trust, root_fingerprints=FOREIGN.fingerprints()))
    assert isinstance(match(evidence, signer, "hf://acme/guard", NOW), Counted)
    assert isinstance(match(evidence, rotated, "hf://acme/guard", NOW), NotCounted)


def by_public_good(root: bytes | Unavailable, signers: tuple[TrustedSigner, ...]) -> SignatureEvidence | RejectedSignature:
    return Verifier(root)(json.dumps(minted()).encode(), oms.listing(), signers=signers, now=NOW, content=None)


def test_the_public_good_instance_is_recorded_by_name() -> None:
    for signers in ((), (trusting(None),)):
        found = by_public_good(INSTANCE.trusted_root(), signers)
        assert isinstance(found, SignatureEvidence)
        assert found.vouched_by == (PUBLIC_GOOD,)
    inline_only = accepted(minted(), signers=SIGNERS)
    assert set(inline_only.vouched_by) <= INSTANCE.fingerprints()


def test_without_the_public_good_root_what_only_it_could_vouch_for_is_unavailable_never_rejected() -> None:
    """F71."""
    for signers in ((trusting(None),), (trusting(None), trusting(FOREIGN.trusted_root()))):
        with pytest.raises(UnavailableError, match="expired"):
            by_public_good(Unavailable("the metadata expired"), signers)


def test_where_no_signer_names_the_public_good_instance_nobody_waits_for_its_root() -> None:
    """Or whoever may add a document at the source could make every signature there unavailable."""
    for signers in ((), (trusting(FOREIGN.trusted_root()),)):
        assert isinstance(by_public_good(Unavailable("x"), signers), RejectedSignature)


def test_without_the_public_good_root_inline_roots_vouch_as_before() -> None:
    assert by_public_good(Unavailable("x"), SIGNERS) == accepted(minted(), signers=SIGNERS)


@pytest.mark.parametrize("root", [b"", b"{}", b"[]", b'{"mediaType": "x"}'])
def test_a_signer_whose_root_cannot_be_read_does_not_break_the_others(root: bytes) -> None:
    broken = trusting(root, name="broken")
    assert accepted(minted(), signers=(broken, *SIGNERS)).subject == IDENTITY
    refused(minted(), Reason.SIGNER_NOT_TRUSTED, signers=(broken,))


def test_more_roots_than_the_limit_are_refused() -> None:
    signers = tuple(trusting(b"%d" % number) for number in range(limits.TRUST_ROOTS_TRIED + 1))
    refused(minted(), Reason.LIMIT_EXCEEDED, "trust roots", signers=signers)


def test_the_first_failure_is_said_when_a_root_knows_the_issuer() -> None:
    second = INSTANCE.root_document()
    second["timestampAuthorities"] = []
    signers = (*SIGNERS, trusting(json.dumps(second).encode(), name="second"))
    refused(minted(omit=["sct"]), says="without SCT", signers=signers)
