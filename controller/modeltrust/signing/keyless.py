"""Keyless signatures: a short-lived Fulcio certificate, a log entry, a trusted time. The only importer of sigstore-python.

sigstore-python 4.5.1 verifies the chain, the SCT, the log entry, the times and the signature (facts/signing.md section 5.3).
Ours are: which entries of the trust root may take part at all, their validity windows, exactly one timestamp, and which time
counts.

Limits of it: exactly one log entry and one SCT, so instances without a log or without CT cannot be verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cryptography import x509
from rfc3161_client import TimeStampResponse, decode_timestamp_response
from sigstore.errors import CertValidationError, Error
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, UntrustedError, quote
from modeltrust.domain.evidence import PUBLIC_GOOD, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessTrust, TrustedSigner
from modeltrust.signing import fulcio
from modeltrust.signing.bundle import Bundle, LogEntry
from modeltrust.signing.content import Content, Message
from modeltrust.signing.interface import Verified
from modeltrust.signing.trust_root import Authority, Log, TrustRoot, covering, fingerprint, parse_trust_root


@dataclass(frozen=True, slots=True)
class KeylessMethod:
    """Tries the public good instance and every inline trust root of the signers.

    Attributes:
        public_good: trusted_root.json of the public good instance, or why it is not known now.
    """

    public_good: bytes | Unavailable

    def verify(self, bundle: Bundle, signers: tuple[TrustedSigner, ...], now: int) -> Verified:  # noqa: ARG002 - the log's time counts
        """See ``interface.Method``.

        The evidence says what vouched: ``PublicGood``, or the sorted key fingerprints of the issuing CA certificate, the CT
        log, the log and (where the time is its) the timestamp authority's certificate. A bundle that verifies under several
        roots is recorded under the first; roots that signers name come first, the public good one before inline ones.

        Raises:
            UntrustedError: SignerNotTrusted: no root knows the issuing CA; SignerExpired: the signing time lies outside the
                certificate's validity or an entry's window; SignatureInvalid: anything else.
            MalformedError: the certificate cannot be read.
            UnavailableError: only the public good instance might vouch, a signer names it, and its root is not known now.
        """
        leaf = _leaf(bundle)
        failure: UntrustedError | None = None
        for trusted_root, public_good in _roots(signers, self.public_good):
            root = trusted_root.issuing(leaf)
            if root.authorities:
                try:
                    return _verify_under(root, bundle, leaf, public_good=public_good)
                except UntrustedError as error:
                    failure = failure or error
        if failure is None and isinstance(self.public_good, Unavailable) and _names_public_good(signers):
            raise UnavailableError(f"the public good instance's trust root is not known: {self.public_good.why}")
        raise failure or UntrustedError(
            f"no trusted root knows who issued the certificate ({quote(leaf.issuer.rfc4514_string())})",
            reason=Reason.SIGNER_NOT_TRUSTED.value,
        )


@dataclass(slots=True)
class _Recorder:
    """A sigstore policy that accepts everybody and keeps what sigstore itself verified; ``policy.signers`` judges it."""

    holder: fulcio.Holder | None = None

    def verify(self, cert: x509.Certificate) -> None:
        """Called with the verified leaf."""
        self.holder = fulcio.holder(cert)


def _leaf(bundle: Bundle) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(bundle.certificates[0])
    except ValueError as error:
        raise MalformedError("got bytes that are no certificate, expected the signer's") from error


def _names_public_good(signers: tuple[TrustedSigner, ...]) -> bool:
    return any(isinstance(signer.trust, KeylessTrust) and signer.trust.trusted_root is None for signer in signers)


def _roots(signers: tuple[TrustedSigner, ...], public_good: bytes | Unavailable) -> Iterable[tuple[TrustRoot, bool]]:
    trusts = [signer.trust for signer in signers if isinstance(signer.trust, KeylessTrust)]
    inline = sorted({trust.trusted_root for trust in trusts if trust.trusted_root is not None})
    if len(inline) > limits.TRUST_ROOTS_TRIED:
        raise LimitExceededError(f"got {len(inline)} trust roots, expected at most {limits.TRUST_ROOTS_TRIED}")
    ordered: list[tuple[bytes, bool]] = [(data, False) for data in inline]
    if not isinstance(public_good, Unavailable):
        ordered.insert(0 if _names_public_good(signers) else len(ordered), (public_good, True))
    for data, default in ordered:
        try:
            yield parse_trust_root(data), default
        except MalformedError:
            continue  # a signer whose root cannot be read trusts nobody; it must not break the others


def _verify_under(issuing: TrustRoot, bundle: Bundle, leaf: x509.Certificate, *, public_good: bool) -> Verified:
    entry = _entry(bundle)
    token = _token(bundle)
    seconds = _signing_time(entry, token)
    root = replace(
        issuing,
        logs=tuple(log for log in issuing.logs if entry.log_id in log.key_ids),
        ct_logs=tuple(log for log in issuing.ct_logs if _sct_log_id(leaf) in log.key_ids),
        timestamp_authorities=tuple(
            item for item in issuing.timestamp_authorities if token and _stamped(token, item.certificates[0])
        ),
    )
    _check_complete(root, timestamped=token is not None)
    recorder = _Recorder()
    content = _sigstore(root, bundle, recorder, leaf, seconds)
    if recorder.holder is None:
        raise _invalid("sigstore looked at no certificate")
    by_token = entry.integrated_time is None
    _check_windows(root, seconds, by_token=by_token)
    root = root.at(seconds)
    evidence = SignatureEvidence(
        SignatureForm.OMS,
        SignerKind.KEYLESS,
        fingerprint(leaf),
        issuer=recorder.holder.issuer,
        subject=recorder.holder.subject,
        claims=recorder.holder.claims,
        vouched_by=(PUBLIC_GOOD,) if public_good else _vouched_by(root, by_token=by_token),
        authorities=_rests_on(root, by_token=by_token),
        signed_at=seconds,
    )
    return Verified(content, evidence)


def _entry(bundle: Bundle) -> LogEntry:
    if bundle.log_entry is None:
        raise MalformedError("got no log entry, expected exactly one with a keyless certificate")
    return bundle.log_entry


def _token(bundle: Bundle) -> TimeStampResponse | None:
    # sigstore tolerates a bad token beside a good one, so with two of them nobody could say whose time it was
    if len(bundle.timestamps) > 1:
        raise _invalid(f"got {len(bundle.timestamps)} timestamps, expected at most one")
    return decode_timestamp_response(bundle.timestamps[0]) if bundle.timestamps else None


def _signing_time(entry: LogEntry, token: TimeStampResponse | None) -> int:
    """Rekor v1: the time that the log promised; v2 keeps none, so the token's. Believed only after sigstore verified both."""
    if entry.integrated_time is not None:
        return entry.integrated_time
    if token is None:
        raise _invalid("got neither an inclusion promise nor a timestamp, so nothing says when it was signed")
    return int(token.tst_info.gen_time.timestamp())


def _sct_log_id(leaf: x509.Certificate) -> bytes:
    try:
        stamps = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    except x509.ExtensionNotFound as error:
        raise _invalid("got a certificate without SCT, expected exactly one") from error
    if len(stamps) != 1:
        raise _invalid(f"got {len(stamps)} SCTs, expected exactly one")
    return bytes(stamps[0].log_id)


def _stamped(token: TimeStampResponse, authority: x509.Certificate) -> bool:
    return any(
        info.serial_number == authority.serial_number and info.issuer == authority.issuer for info in token.signed_data.signer_infos
    )


def _check_complete(root: TrustRoot, *, timestamped: bool) -> None:
    missing = [name for name, entries in (("transparency log", root.logs), ("CT log", root.ct_logs)) if not entries]
    if timestamped and not root.timestamp_authorities:
        missing.append("timestamp authority")
    if missing:  # as with a key that nobody has: it cannot be checked without it, and a root that was rotated makes nothing forged
        message = f"names a {missing[0]} that the trust root does not list"
        raise UntrustedError(message, reason=Reason.SIGNER_NOT_TRUSTED.value)


def _sigstore(root: TrustRoot, bundle: Bundle, recorder: _Recorder, leaf: x509.Certificate, seconds: int) -> Content:
    try:
        verifier = Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(root.narrowed())))
        return _verified(verifier, bundle, recorder)
    except CertValidationError as error:
        if not leaf.not_valid_before_utc.timestamp() <= seconds <= leaf.not_valid_after_utc.timestamp():
            raise _expired("the certificate was not valid when it signed") from error
        raise _invalid(f"the certificate's chain does not verify: {quote(error)}") from error
    except Error as error:
        raise _invalid(f"does not verify: {quote(error)}") from error


def _verified(verifier: Verifier, bundle: Bundle, recorder: _Recorder) -> Content:
    """The content as sigstore read and verified it, which must be what we read."""
    theirs, content = SigstoreBundle.from_json(bundle.raw), bundle.content
    if isinstance(content, Message):
        verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=content.sha256), theirs, recorder)
        return content
    payload_type, payload = verifier.verify_dsse(theirs, recorder)
    if payload != content.payload:
        raise _invalid("sigstore verified something else than this bundle")
    return replace(content, payload_type=payload_type)  # judged by the caller: sigstore does not look at it


def _check_windows(root: TrustRoot, seconds: int, *, by_token: bool) -> None:
    """sigstore-python ignores the end of all of these but the timestamp authority's."""
    windows: dict[str, tuple[Log | Authority, ...]] = {
        "CA": root.authorities,
        "CT log": root.ct_logs,
        "transparency log": root.logs,
    }
    if by_token:
        windows["timestamp authority"] = root.timestamp_authorities
    for name, entries in windows.items():
        if not covering(entries, seconds):
            raise _expired(f"the trust root does not trust the {name} at the signing time")


def _vouched_by(root: TrustRoot, *, by_token: bool) -> tuple[str, ...]:
    vouched = {fingerprint(item.issued_by[0]) for item in root.authorities}
    vouched |= {log.fingerprint for log in (*root.logs, *root.ct_logs)}
    if by_token:
        vouched |= {fingerprint(authority.certificates[0]) for authority in root.timestamp_authorities}
    return tuple(sorted(vouched))


def _rests_on(root: TrustRoot, *, by_token: bool) -> tuple[str, ...]:
    """Keys of whole chains, so that revoking any of them is heard."""
    chains = [item.issued_by for item in root.authorities]
    if by_token:
        chains += [item.certificates for item in root.timestamp_authorities]
    found = {fingerprint(certificate) for chain in chains for certificate in chain}
    return tuple(sorted(found | {log.fingerprint for log in (*root.logs, *root.ct_logs)}))


def _invalid(message: str) -> UntrustedError:
    return UntrustedError(message, reason=Reason.SIGNATURE_INVALID.value)


def _expired(message: str) -> UntrustedError:
    return UntrustedError(message, reason=Reason.SIGNER_EXPIRED.value)
