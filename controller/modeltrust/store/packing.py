"""Envelopes that nobody asks for, kept small: 100,000 of them are in memory, and hardly any is looked at twice.

What every statement has in common is in the dictionary; what is left is digests and a signature. Packing is exact: the bytes that
come back are those that went in, so that verifying them again gives the same answer.
"""

import zlib

import msgspec

from modeltrust.domain import dsse

_RAW, _SPLIT = b"\x00", b"\x01"
MARKS = frozenset((_RAW, _SPLIT))  # what packed bytes begin with, and no JSON does
_LEVEL = 6
_DEFLATE = -15  # raw deflate, the largest window: no header, no checksum; it never leaves the process
# The common text of a statement, the likeliest last (zlib, deflateSetDictionary). What does not fit is merely larger.
_COMMON = (
    b'{"absent":{}}{"unavailable":"SignatureOnlyFileDigestsBytesHashedkeylesscertificatecosignapprovalPyTorchGGUFONNX'
    b'"claims":{},"vouchedBy":[],"authorities":["signedAt":"2026-","ticket":""}],"rejected":[]}},"evaluations":[{"suite":"'
    b'{"payloadType":"application/vnd.in-toto+json","payload":"signatures":[{"keyid":"","sig":""}]}'
    b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"oci://s3://https://hf://","digest":{"gitCommit":"","sha256":""'
    b',"modeltrustContent":""}}],"predicateType":"https://modeltrust.dev/statement/v1","predicate":{"content":{"known":"sha256:"}'
    b',"assurance":"BytesHashed","signatures":{"known":{"valid":[{"form":"oms","kind":"publicKey","fingerprint":"","issuer":""'
    b',"subject":"","claims":{},"vouchedBy":[],"authorities":[],"signedAt":null,"assurance":"BytesHashed","unsignedPaths":[]'
    b',"notBefore":null,"notAfter":null,"ticket":""}],"rejected":[]}},"formats":{"known":{"formats":[{"name":"Safetensors"'
    b',"files":1,"example":"model.safetensors","loadable":true}],"findings":[],"rules":"2026-11-01","omitted":0}}'
    b',"lineage":{"known":[]},"evaluations":[],"weights":[""],"audience":"cluster-1","serial":1,"issuedAt":"2026-'
    b'T00:00:00Z","expiresAt":"2026-T00:00:00Z"}}'
)


class _Signature(msgspec.Struct, gc=False):
    sig: bytes
    keyid: str = ""


class _Envelope(msgspec.Struct, gc=False, rename="camel"):
    payload_type: str
    payload: bytes  # base64 in JSON
    signatures: tuple[_Signature, ...]


_READ = msgspec.json.Decoder(_Envelope)


def pack(envelope: bytes) -> bytes:
    """An envelope as few bytes. Anything else is packed too, and gains less.

    Args:
        envelope: JSON bytes.
    """
    return _split(envelope) or _RAW + _deflated(envelope)


def unpack(packed: bytes) -> bytes:
    """What ``pack`` was given, byte for byte."""
    if packed[:1] == _RAW:
        return _inflated(packed[1:])
    key_bytes, signature_bytes = packed[1], packed[2]
    end = 3 + key_bytes
    key, signature = packed[3:end], packed[end : end + signature_bytes]
    payload = _inflated(packed[end + signature_bytes :])
    return dsse.dump_envelope(dsse.Envelope(dsse.IN_TOTO, payload, signature, key.hex()))


def _split(envelope: bytes) -> bytes:
    """The parts of an envelope as ``dsse`` writes it; empty where writing them again would give other bytes."""
    try:
        read = _READ.decode(envelope)
        (signature,) = read.signatures
        key = bytes.fromhex(signature.keyid)
        sizes = bytes((len(key), len(signature.sig)))  # a ValueError where one is above 255
    except (msgspec.DecodeError, ValueError, RecursionError):
        return b""
    packed = _SPLIT + sizes + key + signature.sig + _deflated(read.payload)
    return packed if unpack(packed) == envelope else b""


def _deflated(data: bytes) -> bytes:
    packing = zlib.compressobj(_LEVEL, zlib.DEFLATED, _DEFLATE, zdict=_COMMON)
    return packing.compress(data) + packing.flush()


def _inflated(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(_DEFLATE, zdict=_COMMON)
    return unpacking.decompress(data) + unpacking.flush()
