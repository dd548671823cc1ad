"""AWS Signature Version 4 for requests without a body.

Source: AWS General Reference, "Create a signed AWS API request"; S3's variant: paths are encoded once. Compared with botocore's in
the tests. Own code, since boto3 resolves, connects, retries and redirects by itself, out of reach of our bounds (docs/adr).
"""

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote as percent_quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Account:
    """An access key; never shown.

    Attributes:
        key_id: the access key id.
        secret: the secret access key.
    """

    key_id: str = field(repr=False)
    secret: str = field(repr=False)


def encode_path(path: str) -> str:
    """A path as S3 signs it."""
    return percent_quote(path, safe="/-_.~")


def encode_query(query: dict[str, str]) -> str:
    """A query in the order and spelling that is signed."""
    return "&".join(f"{percent_quote(k, safe='-_.~')}={percent_quote(v, safe='-_.~')}" for k, v in sorted(query.items()))


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for.

    Attributes:
        method: GET or HEAD.
        host: ``host[:port]`` as sent.
        path: encoded.
        query: encoded.
        amz: further ``x-amz-`` headers, which must be signed.
    """

    method: str
    host: str
    path: str
    query: str
    amz: tuple[tuple[str, str], ...] = ()


def signed_headers(target: Target, account: Account, *, region: str, now: int) -> dict[str, str]:
    """The headers that sign a request.

    Args:
        target: what is asked for.
        account: who asks.
        region: of the bucket.
        now: unix seconds.
    """
    moment = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    named = dict(sorted((*target.amz, ("host", target.host), ("x-amz-content-sha256", _EMPTY), ("x-amz-date", moment))))
    names = ";".join(named)
    lines = "".join(f"{name}:{value}\n" for name, value in named.items())
    canonical = f"{target.method}\n{target.path}\n{target.query}\n{lines}\n{names}\n{_EMPTY}"
    signed = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{account.secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    signature = _mac(key, signed).hex()
    authorization = f"{_ALGORITHM} Credential={account.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"x-amz-content-sha256": _EMPTY, "x-amz-date": moment, "authorization": authorization}


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
