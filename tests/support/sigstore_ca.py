"""A throw-away Sigstore: Fulcio, CT log, Rekor v1 and v2, timestamp authority. Mints keyless bundles over any payload, offline.

How each piece is built: facts/signing.md section 6. ``document`` returns the bundle as JSON objects, so that a test can change one
thing; what must be changed before something is signed is an argument.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785
from asn1crypto import algos, cms, core, tsp  # type: ignore[import-untyped] # the package has no stubs
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = 1_760_000_000  # 2025-10-09T08:53:20Z; in the past, since sigstore-python drops entries that start after the real now
DAY = 24 * 3600
IN_TOTO = "application/vnd.in-toto+json"
BUNDLE_0_3 = "application/vnd.dev.sigstore.bundle.v0.3+json"
IDENTITY = "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"

_ARC = "1.3.6.1.4.1.57264.1."
RAW_CLAIMS = {
    "githubWorkflowTrigger": 2,
    "githubWorkflowSHA": 3,
    "githubWorkflowName": 4,
    "githubWorkflowRepository": 5,
    "githubWorkflowRef": 6,
}
UTF8_CLAIMS = {
    "buildSignerURI": 9,
    "buildSignerDigest": 10,
    "runnerEnvironment": 11,
    "sourceRepositoryURI": 12,
    "sourceRepositoryDigest": 13,
    "sourceRepositoryRef": 14,
    "sourceRepositoryIdentifier": 15,
    "sourceRepositoryOwnerURI": 16,
    "sourceRepositoryOwnerIdentifier": 17,
    "buildConfigURI": 18,
    "buildConfigDigest": 19,
    "buildTrigger": 20,
    "runInvocationURI": 21,
    "sourceRepositoryVisibilityAtSigning": 22,
    "deploymentEnvironment": 23,
}
_SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: int) -> str:
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def spki(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint(key: Any) -> str:
    return hashlib.sha256(spki(key)).hexdigest()


def utf8_string(text: str) -> bytes:
    return bytes(core.UTF8String(text).dump())


def pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def ecdsa(key: ec.EllipticCurvePrivateKey, data: bytes, hashed: hashes.HashAlgorithm | None = None) -> bytes:
    return key.sign(data, ec.ECDSA(hashed or hashes.SHA256()))


def usage(**named: bool) -> x509.KeyUsage:
    flags = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**flags, **named})


class Authority:
    """A root and an intermediate; ``issue`` signs leaves with the intermediate."""

    def __init__(self, name: str, now: int, purpose: x509.ObjectIdentifier, *, path_length: int = 1) -> None:
        self.root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.start, self.end = now - 30 * DAY, now + 3650 * DAY
        root_name, self.name = _name(f"{name} root"), _name(f"{name} intermediate")
        self.root = self._certificate(root_name, root_name, self.root_key, self.root_key, path_length, None)
        self.intermediate = self._certificate(self.name, root_name, self.key, self.root_key, path_length - 1, purpose)

    def _certificate(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signing_key: ec.EllipticCurvePrivateKey,
        path_length: int,
        purpose: x509.ObjectIdentifier | None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(self.start))
            .not_valid_after(moment(self.end))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        )
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return builder.sign(signing_key, hashes.SHA256())

    def chain(self, *leaf: x509.Certificate) -> list[dict[str, str]]:
        return [{"rawBytes": b64(der(certificate))} for certificate in (*leaf, self.intermediate, self.root)]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class TestSigstore:
    """One instance. Keys are made when it is; share one among the tests of a module."""

    __test__ = False

    def __init__(self, *, now: int = NOW, name: str = "test-sigstore", others: int = 4) -> None:
        """Make its keys.

        Args:
            now: unix seconds of everything that is signed, unless told otherwise.
            name: in the names of its authorities.
            others: how many entries its log has before each; with none, the entry is the first.
        """
        self.others = others
        self.now = now
        self.name = name
        self.fulcio = Authority(f"{name} fulcio", now, ExtendedKeyUsageOID.CODE_SIGNING)
        self.tsa = Authority(f"{name} tsa", now, ExtendedKeyUsageOID.TIME_STAMPING)
        self.ct_key = ec.generate_private_key(ec.SECP256R1())
        self.log_key = ec.generate_private_key(ec.SECP256R1())
        self.tsa_key = ec.generate_private_key(ec.SECP256R1())
        self.tsa_leaf = self._tsa_leaf()
        self._samples: dict[tuple[bytes, int], str] = {}

    # --- trust material -----------------------------------------------------------------------------------------------------

    def root_document(self) -> dict[str, Any]:
        """trusted_root.json as JSON objects."""
        start = {"start": rfc3339(self.fulcio.start)}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_log("https://rekor.test.example", self.log_key, start)],
            "certificateAuthorities": [_authority(self.name, self.fulcio.chain(), start)],
            "ctlogs": [_log("https://ct.test.example", self.ct_key, start)],
            "timestampAuthorities": [_authority(self.name, self.tsa.chain(self.tsa_leaf), start)],
        }

    def trusted_root(self) -> bytes:
        """trusted_root.json."""
        return json.dumps(self.root_document()).encode()

    def trust_config(self, url: str = "https://sigstore.test.example", *, version: int = 1) -> bytes:
        """ClientTrustConfig for model-signing, which wants a signing configuration too.

        Args:
            url: of every service.
            version: of Rekor.
        """
        service = {"url": url, "majorApiVersion": 1, "validFor": {"start": rfc3339(self.fulcio.start)}, "operator": "test"}
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
                "trustedRoot": self.root_document(),
                "signingConfig": {
                    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                    "caUrls": [service],
                    "oidcUrls": [service],
                    "rekorTlogUrls": [{**service, "majorApiVersion": version}],
                    "tsaUrls": [service],
                    "rekorTlogConfig": {"selector": "ANY"},
                    "tsaConfig": {"selector": "ANY"},
                },
            }
        ).encode()

    def fingerprints(self) -> frozenset[str]:
        """64 hex of every key in the root: what a compiled TrustedSigner holds."""
        keys = [self.ct_key.public_key(), self.log_key.public_key(), self.tsa_leaf.public_key()]
        for authority in (self.fulcio, self.tsa):
            keys += [authority.root_key.public_key(), authority.key.public_key()]
        return frozenset(fingerprint(key) for key in keys)

    # --- bundles ------------------------------------------------------------------------------------------------------------

    def bundle(self, payload: bytes, **options: Any) -> bytes:
        """A bundle as JSON bytes; options as ``document``."""
        return json.dumps(self.document(payload, **options)).encode()

    def sample(self, payload: bytes, version: int = 1) -> dict[str, Any]:
        """``document`` without options, minted once and copied: for tests that change it afterwards."""
        key = (payload, version)
        if key not in self._samples:
            self._samples[key] = json.dumps(self.document(payload, version=version))
        copy: dict[str, Any] = json.loads(self._samples[key])
        return copy

    def document(
        self,
        payload: bytes,
        *,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        claims: Mapping[str, str] | None = None,
        version: int = 1,
        payload_type: str = IN_TOTO,
        signed_at: int | None = None,
        leaf_start: int | None = None,
        leaf_seconds: int = 600,
        curve: ec.EllipticCurve | None = None,
        signature_hash: hashes.HashAlgorithm | None = None,
        timestamped: bool | None = None,
        stamp_message: bytes | None = None,
        stamps: int = 1,
        stamper: "TestSigstore | None" = None,
        sct_by: "TestSigstore | None" = None,
        scts: int = 1,
        omit: Collection[str] = (),
        critical: Collection[str] = ("san", "usage"),
        names: Collection[x509.GeneralName] = (),
        kind: str | None = None,
        entry_signature: bytes | None = None,
    ) -> dict[str, Any]:
        """A bundle as JSON objects.

        Args:
            payload: what is signed.
            identity: an e-mail address or a URI.
            issuer: the OIDC issuer.
            claims: Fulcio extension names and values.
            version: of Rekor: 1 keeps a time and promises it, 2 needs a timestamp.
            payload_type: of the envelope.
            signed_at: unix seconds; default ``now``.
            leaf_start: default one minute before ``signed_at``.
            leaf_seconds: life of the certificate.
            curve: of the signer's key; default P-256.
            signature_hash: default SHA-256, which sigstore-python demands whatever the curve.
            timestamped: whether an RFC 3161 token is added; default for version 2.
            stamp_message: what the token is about; default the signature.
            stamps: how many tokens.
            stamper: whose timestamp authority; default this one's.
            sct_by: whose CT log; default this one's.
            scts: how many SCTs.
            omit: any of aki, ski, usage, purpose, san, issuer, issuer_v2, sct.
            critical: which of san, usage, purpose are critical.
            names: instead of the subject alternative name made from ``identity``.
            kind: of the log entry, instead of the version's own.
            entry_signature: what the log entry says was signed, instead of the signature.
        """
        at = self.now if signed_at is None else signed_at
        key = ec.generate_private_key(curve or ec.SECP256R1())
        alternative = list(names) or [_general_name(identity)]
        leaf = self._signing_leaf(
            key.public_key(),
            alternative,
            _claims(issuer, claims or {}, omit),
            at - 60 if leaf_start is None else leaf_start,
            leaf_seconds,
            omit=omit,
            critical=critical,
            sct_by=sct_by or self,
            scts=scts,
            at=at,
        )
        signature = ecdsa(key, pae(payload_type, payload), signature_hash)
        signed = signature if entry_signature is None else entry_signature
        entry = (
            self._entry_v1(payload, signed, leaf, at, kind)
            if version == 1
            else self.entry_v2(hashlib.sha256(pae(payload_type, payload)).digest(), signed, leaf, kind)
        )
        material: dict[str, Any] = {"certificate": {"rawBytes": b64(der(leaf))}, "tlogEntries": [entry]}
        if timestamped if timestamped is not None else version != 1:
            message = signature if stamp_message is None else stamp_message
            material["timestampVerificationData"] = {
                "rfc3161Timestamps": [
                    {"signedTimestamp": b64((stamper or self).token(message, at, serial=number + 1))} for number in range(stamps)
                ]
            }
        return {
            "mediaType": BUNDLE_0_3,
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": b64(payload),
                "payloadType": payload_type,
                "signatures": [{"sig": b64(signature), "keyid": ""}],
            },
        }

    def message_document(
        self, digest: bytes, *, identity: str = IDENTITY, issuer: str = ISSUER, version: int = 1, entry_digest: bytes | None = None
    ) -> dict[str, Any]:
        """A bundle over bytes elsewhere, as JSON objects.

        Args:
            digest: 32 bytes, the sha256 of what is signed.
            identity: an e-mail address or a URI.
            issuer: the OIDC issuer.
            version: of Rekor.
            entry_digest: what the log entry says was signed, instead of ``digest``.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.issue(key.public_key(), identity, issuer)
        signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        logged = digest if entry_digest is None else entry_digest
        entry = self._hashed_entry_v1(logged, signature, leaf) if version == 1 else self.entry_v2(logged, signature, leaf)
        material: dict[str, Any] = {"certificate": {"rawBytes": b64(der(leaf))}, "tlogEntries": [entry]}
        if version != 1:
            token = self.token(signature, self.now)
            material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}
        return {
            "mediaType": BUNDLE_0_3,
            "verificationMaterial": material,
            "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest)}, "signature": b64(signature)},
        }

    # --- certificates -------------------------------------------------------------------------------------------------------

    def issue(self, key: Any, identity: str, issuer: str) -> x509.Certificate:
        """What Fulcio answers: a certificate for ten minutes from ``now``, over a public key.

        Args:
            key: public.
            identity: an e-mail address or a URI.
            issuer: the OIDC issuer.
        """
        names, claims = [_general_name(identity)], _claims(issuer, {}, ())
        return self._signing_leaf(
            key, names, claims, self.now - 60, 660, omit=(), critical=("san", "usage"), sct_by=self, scts=1, at=self.now
        )

    def _signing_leaf(
        self,
        key: Any,
        names: list[x509.GeneralName],
        claims: list[tuple[int, bytes]],
        start: int,
        seconds: int,
        *,
        omit: Collection[str],
        critical: Collection[str],
        sct_by: "TestSigstore",
        scts: int,
        at: int,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.fulcio.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(start))
            .not_valid_after(moment(start + seconds))
        )
        extensions: list[tuple[str, x509.ExtensionType]] = [
            ("san", x509.SubjectAlternativeName(names)),
            ("usage", usage(digital_signature=True)),
            ("purpose", x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
            ("ski", x509.SubjectKeyIdentifier.from_public_key(key)),
            ("aki", x509.AuthorityKeyIdentifier.from_issuer_public_key(self.fulcio.key.public_key())),
        ]
        for number, value in claims:
            extensions.append(("claim", x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_ARC}{number}"), value)))
        for name, extension in extensions:
            if name not in omit:
                builder = builder.add_extension(extension, critical=name in critical)
        if "sct" in omit:
            return builder.sign(self.fulcio.key, hashes.SHA256())
        pre = builder.sign(self.fulcio.key, hashes.SHA256()).tbs_certificate_bytes
        issuer_hash = hashlib.sha256(spki(self.fulcio.key.public_key())).digest()
        stamps = b"".join(_sized(sct_by.sct(pre, issuer_hash, at * 1000 + number)) for number in range(scts))
        value = core.OctetString(_sized(stamps)).dump()
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_OID, value), critical=False).sign(
            self.fulcio.key, hashes.SHA256()
        )

    def sct(self, tbs: bytes, issuer_hash: bytes, milliseconds: int) -> bytes:
        """One signed certificate timestamp of this CT log (RFC 6962)."""
        signed = (
            struct.pack("!BBQH", 0, 0, milliseconds, 1) + issuer_hash + len(tbs).to_bytes(3, "big") + tbs + struct.pack("!H", 0)
        )
        log_id = hashlib.sha256(spki(self.ct_key.public_key())).digest()
        signature = ecdsa(self.ct_key, signed)
        return struct.pack("!B", 0) + log_id + struct.pack("!QHBBH", milliseconds, 0, 4, 3, len(signature)) + signature

    def _tsa_leaf(self) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(f"{self.name} tsa leaf"))
            .issuer_name(self.tsa.name)
            .public_key(self.tsa_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(self.tsa.start))
            .not_valid_after(moment(self.tsa.end))
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.tsa_key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.tsa.key.public_key()), critical=False)
            .sign(self.tsa.key, hashes.SHA256())
        )

    # --- log entries --------------------------------------------------------------------------------------------------------

    def _entry_v1(self, payload: bytes, signature: bytes, leaf: x509.Certificate, at: int, kind: str | None) -> dict[str, Any]:
        pem = leaf.public_bytes(serialization.Encoding.PEM)
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(b"envelope" + payload).hexdigest()},
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                    "signatures": [{"signature": b64(signature), "verifier": b64(pem)}],
                },
            }
        )
        return self._promised(body, kind or "dsse", at)

    def _hashed_entry_v1(self, digest: bytes, signature: bytes, leaf: x509.Certificate) -> dict[str, Any]:
        pem = leaf.public_bytes(serialization.Encoding.PEM)
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                    "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
                },
            }
        )
        return self._promised(body, "hashedrekord", self.now)

    def _promised(self, body: bytes, kind: str, at: int) -> dict[str, Any]:
        entry = self._entry(body, kind, "0.0.1")
        entry["integratedTime"] = str(at)
        entry["inclusionPromise"] = {"signedEntryTimestamp": b64(self.promise(body, at, int(entry["logIndex"])))}
        return entry

    def entry_v2(self, digest: bytes, signature: bytes, leaf: x509.Certificate, kind: str | None = None) -> dict[str, Any]:
        """What Rekor v2 answers: an entry over the sha256 of what was signed."""
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.2",
                "kind": "hashedrekord",
                "spec": {
                    "hashedRekordV002": {
                        "data": {"algorithm": "SHA2_256", "digest": b64(digest)},
                        "signature": {
                            "content": b64(signature),
                            "verifier": {
                                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                                "x509Certificate": {"rawBytes": b64(der(leaf))},
                            },
                        },
                    }
                },
            }
        )
        return self._entry(body, kind or "hashedrekord", "0.0.2")

    def _entry(self, body: bytes, kind: str, version: str) -> dict[str, Any]:
        leaves = [hashlib.sha256(b"\x00other%d" % number).digest() for number in range(self.others)]
        index = len(leaves)
        leaves.append(hashlib.sha256(b"\x00" + body).digest())
        root, proof = _merkle(leaves, index)
        key_id = hashlib.sha256(spki(self.log_key.public_key())).digest()
        return {
            "logIndex": "1234" if self.others else "0",
            "logId": {"keyId": b64(key_id)},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root),
                "treeSize": str(len(leaves)),
                "hashes": [b64(item) for item in proof],
                "checkpoint": {"envelope": self.checkpoint(root, len(leaves))},
            },
            "canonicalizedBody": b64(body),
        }

    def checkpoint(self, root: bytes, size: int) -> str:
        """A signed note of the log."""
        text = f"rekor.test.example\n{size}\n{b64(root)}\n"
        key_id = hashlib.sha256(spki(self.log_key.public_key())).digest()
        return f"{text}\n\u2014 rekor.test.example {b64(key_id[:4] + ecdsa(self.log_key, text.encode()))}\n"

    def promise(self, body: bytes, at: int, index: int) -> bytes:
        """The signed entry timestamp of Rekor v1."""
        key_id = hashlib.sha256(spki(self.log_key.public_key())).hexdigest()
        return ecdsa(self.log_key, rfc8785.dumps({"body": b64(body), "integratedTime": at, "logID": key_id, "logIndex": index}))

    # --- timestamps ---------------------------------------------------------------------------------------------------------

    def token(self, message: bytes, at: int, *, serial: int = 1) -> bytes:
        """An RFC 3161 response over a message, DER."""
        return timestamp(message, at, self.tsa_key, self.tsa_leaf, serial=serial)


def timestamp(
    message: bytes,
    at: int,
    key: ec.EllipticCurvePrivateKey,
    leaf: x509.Certificate,
    *,
    serial: int = 1,
    chain: Collection[x509.Certificate] = (),
) -> bytes:
    """An RFC 3161 response signed by any key with its certificate, DER; ``chain`` is embedded beside the leaf."""
    return stamp(hashlib.sha256(message).digest(), at, key, leaf, serial=serial, chain=chain)


def stamp(
    digest: bytes,
    at: int,
    key: ec.EllipticCurvePrivateKey,
    leaf: x509.Certificate,
    *,
    serial: int = 1,
    chain: Collection[x509.Certificate] = (),
) -> bytes:
    """``timestamp`` over the sha256 of a message."""
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": "1.3.6.1.4.1.57264.2",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": digest,
            },
            "serial_number": serial,
            "gen_time": moment(at),
            "nonce": 4711,
        }
    )
    certificate = asn1_x509.Certificate.load(der(leaf))
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(info.dump()).digest()]}),
            cms.CMSAttribute(
                {
                    "type": "signing_certificate_v2",
                    "values": [tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(der(leaf)).digest()}]})],
                }
            ),
        ]
    )
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {"issuer_and_serial_number": {"issuer": certificate.issuer, "serial_number": certificate.serial_number}}
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
            "signature": ecdsa(key, attributes.untag().dump()),
        }
    )
    data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "tst_info", "content": info},
            "certificates": [certificate, *(asn1_x509.Certificate.load(der(item)) for item in chain)],
            "signer_infos": [signer],
        }
    )
    response = tsp.TimeStampResp(
        {"status": {"status": "granted"}, "time_stamp_token": {"content_type": "signed_data", "content": data}}
    )
    return bytes(response.dump())


def _log(url: str, key: ec.EllipticCurvePrivateKey, window: dict[str, str]) -> dict[str, Any]:
    public = spki(key.public_key())
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(public), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": dict(window)},
        "logId": {"keyId": b64(hashlib.sha256(public).digest())},
    }


def _authority(name: str, chain: list[dict[str, str]], window: dict[str, str]) -> dict[str, Any]:
    return {
        "subject": {"organization": "test", "commonName": name},
        "uri": "https://authority.test.example",
        "certChain": {"certificates": chain},
        "validFor": dict(window),
    }


def _general_name(identity: str) -> x509.GeneralName:
    if ":" not in identity and "@" in identity:
        return x509.RFC822Name(identity)
    return x509.UniformResourceIdentifier(identity)


def _claims(issuer: str, claims: Mapping[str, str], omit: Collection[str]) -> list[tuple[int, bytes]]:
    values = [] if "issuer" in omit else [(1, issuer.encode())]
    if "issuer_v2" not in omit:
        values.append((8, utf8_string(issuer)))
    for name, value in claims.items():
        values.append((RAW_CLAIMS[name], value.encode()) if name in RAW_CLAIMS else (UTF8_CLAIMS[name], utf8_string(value)))
    return values


def _sized(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _merkle(leaves: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Root and audit path (RFC 6962): split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0], []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if index < split:
        root, proof = _merkle(left, index)
        other = _merkle(right, 0)[0]
        return hashlib.sha256(b"\x01" + root + other).digest(), [*proof, other]
    root, proof = _merkle(right, index - split)
    other = _merkle(left, 0)[0]
    return hashlib.sha256(b"\x01" + other + root).digest(), [*proof, other]
