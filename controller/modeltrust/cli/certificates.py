"""Until when certificates are good: read, never verified."""

from cryptography import x509

from modeltrust.domain.errors import MalformedError


def earliest_end(pem: bytes) -> float:
    """When the first of these certificates ends, unix seconds.

    Raises:
        MalformedError: there is none, or one cannot be read.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise MalformedError("got no certificate in PEM") from error
    return min(certificate.not_valid_after_utc.timestamp() for certificate in certificates)
