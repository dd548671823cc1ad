import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import errors, limits
from modeltrust.domain.errors import (
    InvalidInputError,
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    ModelTrustError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
    quote,
)

SHOWN = [
    ("plain", '"plain"'),
    ("", '""'),
    ("größe 模型", '"größe 模型"'),
    (None, '"None"'),
    (5, '"5"'),
    ('say "x", expected "y"', '"say \\"x\\", expected \\"y\\""'),
    ("C:\\x", '"C:\\\\x"'),
    ("a\nb\tc\x00\x1b[31m", '"a\\x0ab\\x09c\\x00\\x1b[31m"'),
    ("\x7f\x80\x9b", '"\\x7f\\u0080\\u009b"'),
    ("a\u202eb\u2066c\u200f", '"a\\u202eb\\u2066c\\u200f"'),
    ("a\u200bb\u00adc\ufeff\u2060", '"a\\u200bb\\u00adc\\ufeff\\u2060"'),
    ("\u2028\u2029\u00a0\u3000", '"\\u2028\\u2029\\u00a0\\u3000"'),
    ("a\ufe0fb\u034fc\u3164d\U000e0100", '"a\\ufe0fb\\u034fc\\u3164d\\U000e0100"'),
    ("\U000e0041", '"\\U000e0041"'),
    ("\ud800", '"\\ud800"'),
    ("😀", '"😀"'),
]


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_a_foreign_value_is_shown_so_that_nothing_hides_in_it(value: object, shown: str) -> None:
    assert quote(value) == shown


@pytest.mark.parametrize("kind", ["", "EC ", "ENCRYPTED ", "RSA ", "OPENSSH "])
def test_a_private_key_is_never_shown(kind: str) -> None:
    # Pasted into a field that wants a map, it would stand in the log and in the answer to kubectl.
    assert quote(f" -----BEGIN {kind}PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49") == '"(a private key, not shown)"'


def test_a_long_value_is_cut_with_a_mark() -> None:
    assert quote("x" * 200, 10) == '"' + "x" * 9 + '…"'
    assert quote("x" * 10, 10) == '"' + "x" * 10 + '"'
    assert len(quote("x" * 10_000_000)) == limits.QUOTED_CHARACTERS + 2


@given(st.text())
@settings(max_examples=200)
def test_a_quoted_value_is_one_visible_line_between_two_quotes(text: str) -> None:
    shown = quote(text)
    assert shown.isprintable()
    assert shown.encode("utf-8")
    assert shown[0] == shown[-1] == '"'
    assert '"' not in shown[1:-1].replace("\\\\", "").replace('\\"', "")


def test_permanent_and_temporary_are_told_apart_by_type() -> None:
    kinds = [InvalidInputError, MalformedError, UnavailableError, NotFoundError, UntrustedError]
    assert all(issubclass(kind, ModelTrustError) for kind in kinds)
    assert not any(issubclass(one, other) for one in kinds for other in kinds if one is not other)
    assert issubclass(LimitExceededError, MalformedError)
    assert issubclass(InvalidReferenceError, InvalidInputError)


def test_an_untrusted_error_carries_its_reason() -> None:
    error = UntrustedError("no", reason="SignatureInvalid")
    assert (str(error), error.reason) == ("no", "SignatureInvalid")


def test_every_public_error_is_ours() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, ModelTrustError) and kind.__doc__ for kind in found)
