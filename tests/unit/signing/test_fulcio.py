from collections.abc import Sequence
from typing import get_args

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api.v1alpha1.trusted_signer import ClaimName
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.signing.fulcio import CLAIMS, Holder, holder
from tests.support.certificates import leaf
from tests.support.sigstore_ca import ISSUER, RAW_CLAIMS, UTF8_CLAIMS, utf8_string

ARC = "1.3.6.1.4.1.57264.1."
EMAIL = x509.RFC822Name("dev@acme.example")


def certificate(values: Sequence[tuple[int, bytes]], names: Sequence[x509.GeneralName] = (EMAIL,)) -> x509.Certificate:
    extra = [(x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}{number}"), value), False) for number, value in values]
    return leaf(None, names=names, extra=extra).certificate


def test_every_claim_is_read_by_name() -> None:
    values = [(1, ISSUER.encode()), (8, utf8_string(ISSUER))]
    values += [(number, name.encode()) for name, number in RAW_CLAIMS.items()]
    values += [(number, utf8_string(name)) for name, number in UTF8_CLAIMS.items()]
    found = holder(certificate(values))
    assert found == Holder("dev@acme.example", ISSUER, tuple(sorted((name, name) for name in CLAIMS)))


def test_every_claim_that_a_trusted_signer_may_name_can_be_recorded() -> None:
    assert set(get_args(ClaimName)) <= CLAIMS


def test_a_user_name_is_a_subject() -> None:
    name = x509.OtherName(x509.ObjectIdentifier(f"{ARC}7"), utf8_string("dev!acme"))
    assert holder(certificate([(8, utf8_string(ISSUER))], [name])).subject == "dev!acme"


@pytest.mark.parametrize("length", [1, 127, 128, 255, 256, limits.CLAIM_CHARACTERS])
def test_strings_of_every_length_are_read(length: int) -> None:
    assert holder(certificate([(8, utf8_string("x" * length))])).issuer == "x" * length


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "0 OIDC issuers"),
        ([(1, b"https://a.example"), (8, utf8_string("https://b.example"))], "2 OIDC issuers"),
        ([(1, b"")], "characters"),
        ([(1, b"\xff")], "UTF-8"),
        ([(8, b"")], "no DER string"),
        ([(8, b"\x0c")], "no DER string"),
        ([(8, b"\x13\x01a")], "no DER string"),
        ([(8, b"\x0c\x05a")], "expected 5"),
        ([(8, b"\x0c\x01ab")], "expected 1"),
        ([(8, b"\x0c\x81\x01a")], "shortest"),
        ([(8, b"\x0c\x82\x00\x80" + b"a" * 128)], "shortest"),
        ([(8, b"\x0c\x80a")], "shortest"),
        ([(8, b"\x0c\x02\xff\xff")], "UTF-8"),
        ([(8, b"\x0c\x00")], "characters"),
        ([(8, utf8_string("x" * (limits.CLAIM_CHARACTERS + 1)))], "characters"),
        ([(8, utf8_string(ISSUER)), (12, b"raw")], "sourceRepositoryURI"),
    ],
)
def test_a_value_that_is_not_what_it_should_be_is_refused(values: Sequence[tuple[int, bytes]], says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        holder(certificate(values))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "without subject"),
        ((EMAIL, EMAIL), "2 subject"),
        ((x509.DNSName("acme.example"),), "DNSName"),
        ((x509.OtherName(x509.ObjectIdentifier("1.2.3"), utf8_string("x")),), "OtherName"),
    ],
)
def test_a_certificate_without_exactly_one_subject_is_refused(names: Sequence[x509.GeneralName], says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        holder(certificate([(8, utf8_string(ISSUER))], names))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=12))
def test_a_string_is_read_in_one_encoding_only(der: bytes) -> None:
    try:
        found = holder(certificate([(8, der)]))
    except MalformedError:
        return
    assert utf8_string(found.issuer) == der
