"""RFC 3161 timestamps under explicit roots, for certificate signatures."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from modeltrust.signing.chain import verify_chain


def trusted_time(token: bytes, message: bytes, roots: Sequence[x509.Certificate]) -> tuple[int, list[x509.Certificate]] | None:
    """When a message existed, as far as the roots vouch for it.

    Args:
        token: DER TimeStampResp.
        message: what was stamped: the DSSE signature.
        roots: the anchors that the timestamp authority's chain must end in.

    Returns:
        Unix seconds and the authority's chain, leaf to anchor; None if the token is not about the message, does not verify, or ends
        in none of the roots.
    """
    try:
        response = decode_timestamp_response(token)
        at = int(response.tst_info.gen_time.timestamp())
        offered = [x509.load_der_x509_certificate(der) for der in response.signed_data.certificates]
    except ValueError:
        return None
    leaf = _signer(response, offered)
    if leaf is None:
        return None
    chain = verify_chain(leaf, offered, roots, purpose=ExtendedKeyUsageOID.TIME_STAMPING, at=at)
    if chain is None or not _verifies(response, message, chain):
        return None
    return at, chain


def _signer(response: TimeStampResponse, offered: Sequence[x509.Certificate]) -> x509.Certificate | None:
    infos = list(response.signed_data.signer_infos)
    if len(infos) != 1:
        return None
    info = infos[0]
    return next((item for item in offered if item.issuer == info.issuer and item.serial_number == info.serial_number), None)


def _verifies(response: TimeStampResponse, message: bytes, chain: Sequence[x509.Certificate]) -> bool:
    # rfc3161-client trusts every certificate that it is given, so it is given only the chain that was verified before.
    builder = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1])
    for certificate in chain[1:-1]:
        builder = builder.add_intermediate_certificate(certificate)
    try:
        return bool(builder.build().verify_message(response, message))
    except VerificationError:
        return False
