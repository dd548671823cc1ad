"""Which ModelSource a model is looked up in, and how that source may be read (attack H2).

Exactly one, the most specific: a model that two sources could answer for is looked up in neither.
"""

import base64
import binascii
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from modeltrust.api.compile import compile_source
from modeltrust.api.compile.sources import SourceSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, UntrustedError, quote
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.work import RemoteBundle, SourceAccess, SourceType
from modeltrust.kube.client import Object
from modeltrust.store.sink import Extra
from modeltrust.store.sink import Object as Seen
from modeltrust.store.store import name_of


class Sources:
    """Every ModelSource, compiled; fed by a reflector, read by reconcilers."""

    def __init__(self, changed: Callable[[tuple[Glob, ...]], None] = lambda _globs: None) -> None:
        """Begin empty.

        Args:
            changed: told of the models whose source may be another one now.
        """
        self._changed = changed
        self._good: Mapping[str, SourceSettings] = MappingProxyType({})
        self._broken: Mapping[str, tuple[Glob, ...]] = MappingProxyType({})
        self._writing = threading.Lock()

    def replace(self, kind: Extra, objects: Iterable[Seen]) -> None:
        """A complete list."""
        del kind
        good: dict[str, SourceSettings] = {}
        broken: dict[str, tuple[Glob, ...]] = {}
        for value in objects:
            _put(value, good, broken)
        with self._writing:
            before = [*self._good.values(), *good.values()]
            self._good, self._broken = MappingProxyType(good), MappingProxyType(broken)
        self._changed(tuple(glob for source in before for glob in source.models))

    def upsert(self, kind: Extra, value: Seen) -> None:
        """One object, new or changed."""
        del kind
        with self._writing:
            good, broken = dict(self._good), dict(self._broken)
            touched = _globs(name_of(value), good, broken)
            _put(value, good, broken)
            touched += _globs(name_of(value), good, broken)
            self._good, self._broken = MappingProxyType(good), MappingProxyType(broken)
        self._changed(touched)

    def delete(self, kind: Extra, name: str) -> None:
        """One object is gone."""
        del kind
        with self._writing:
            good, broken = dict(self._good), dict(self._broken)
            touched = _globs(name, good, broken)
            good.pop(name, None)
            broken.pop(name, None)
            self._good, self._broken = MappingProxyType(good), MappingProxyType(broken)
        self._changed(touched)

    def covering(self, text: str, *, kind: str = "") -> SourceSettings:
        """The one source that answers for a model.

        Args:
            text: canonical reference, without revision.
            kind: only sources of this type; empty for any.

        Raises:
            UntrustedError: none does, two do, or one that nobody can read might; with SourceNotAllowed.
        """
        unreadable = sorted(name for name, globs in self._broken.items() if any(glob.matches(text) for glob in globs))
        if unreadable:
            raise _refused(f"the ModelSource {quote(unreadable[0])} names {quote(text)} and cannot be used as it is written")
        best: list[SourceSettings] = []
        rank: tuple[int, ...] = ()
        for source in self._good.values():
            found = max((_specific(glob) for glob in source.models if glob.matches(text)), default=())
            if found and found >= rank and kind in ("", source.type):
                best = [*best, source] if found == rank else [source]
                rank = found
        if not best:
            of = f" of type {kind}" if kind else ""
            raise _refused(f"no ModelSource{of} covers {quote(text)}; only what one covers is looked up")
        if len(best) > 1:
            names = ", ".join(quote(name) for name in sorted(source.name for source in best)[: limits.NAMES_IN_MESSAGE])
            raise _refused(f"several ModelSources cover {quote(text)} equally closely: {names}; expected one")
        return best[0]


def access(source: SourceSettings, secret: Object | None) -> SourceAccess:
    """How a source may be read.

    Args:
        source: compiled.
        secret: the Secret that it names, None where it names none.

    Raises:
        InvalidInputError: the Secret holds no credentials; says nothing about what it holds.
    """
    username, password = ("", "") if secret is None else credentials(secret, source.endpoints[0])
    return SourceAccess(
        type=SourceType(source.type),
        endpoints=source.endpoints,
        username=username,
        password=password,
        signature_paths=source.signature_paths,
        signature_repositories=source.signature_repositories,
        ca=source.ca,
        allow_private=source.allow_private,
        max_bytes=min(source.max_bytes or limits.MODEL_BYTES, limits.MODEL_BYTES),
        max_files=source.max_files,
    )


def credentials(secret: Object, endpoint: str) -> tuple[str, str]:
    """(username, password) from a Secret: ``username`` and ``password``, ``token``, S3's pair, or a registry's configuration.

    Args:
        secret: as the API server has it.
        endpoint: ``https://host[:port]``; of a registry configuration, the entry of exactly this host.

    Raises:
        InvalidInputError: it holds none of these.
    """
    name, data = secret["metadata"]["name"], secret.get("data") or {}
    for user_key, password_key in (("username", "password"), ("accessKeyId", "secretAccessKey"), ("", "token")):
        if password_key in data and (not user_key or user_key in data):
            return (_value(name, data, user_key) if user_key else ""), _value(name, data, password_key)
    if ".dockerconfigjson" in data:
        return _registry(name, _value(name, data, ".dockerconfigjson"), endpoint.removeprefix("https://"))
    raise InvalidInputError(
        f"the Secret {quote(name)} holds neither username and password, nor accessKeyId and secretAccessKey, nor token"
    )


def remote_bundle(reference: str, sources: Sources, read: Callable[[SourceSettings], SourceAccess]) -> RemoteBundle:
    """Evidence that a registry keeps; the registry must be covered by a ModelSource of type OCI.

    Args:
        reference: ``host/repository@sha256:…``.
        sources: all of them.
        read: how one may be read.

    Raises:
        UntrustedError: it is covered by no source, or the source's Secret is missing.
        InvalidInputError: the source's Secret holds no credentials.
    """
    return RemoteBundle(reference, read(sources.covering(f"oci://{reference.partition('@')[0]}", kind="OCI")))


def _put(value: Seen, good: dict[str, SourceSettings], broken: dict[str, tuple[Glob, ...]]) -> None:
    name = name_of(value)
    good.pop(name, None)
    broken.pop(name, None)
    if len(good) + len(broken) >= limits.SOURCES_CONSIDERED:
        return  # what is not covered is not looked up
    try:
        good[name] = compile_source(value)
    except InvalidInputError:
        broken[name] = _readable(value)


def _readable(value: Seen) -> tuple[Glob, ...]:
    """Of a source that cannot be used, the models that it names as far as they can be read."""
    spec = value.get("spec")
    written = spec.get("models") if isinstance(spec, Mapping) else None
    globs = []
    for text in written[: limits.API_GLOBS] if isinstance(written, list) else ():
        try:
            globs.append(Glob(text))
        except (ModelTrustError, TypeError, AttributeError):
            continue
    return tuple(globs)


def _globs(name: str, good: Mapping[str, SourceSettings], broken: Mapping[str, tuple[Glob, ...]]) -> tuple[Glob, ...]:
    return (good[name].models if name in good else ()) + broken.get(name, ())


def _specific(glob: Glob) -> tuple[int, ...]:
    """Higher is more specific: exact, then the longest text before the first star, then fewer stars, then more text."""
    stars = glob.pattern.count("*")
    return (stars == 0, len(glob.pattern.partition("*")[0]), -glob.pattern.count("**"), -stars, len(glob.pattern))


def _value(name: str, data: Mapping[str, Any], key: str) -> str:
    try:
        raw = base64.b64decode(str(data[key]), validate=True)
        if len(raw) > limits.SECRET_BYTES:
            raise InvalidInputError(
                f"the Secret {quote(name)} holds {len(raw)} bytes in {key}, expected at most {limits.SECRET_BYTES}"
            )
        text = raw.decode("utf-8").strip("\r\n")
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"the Secret {quote(name)} holds no text in {key}") from None
    if not text or (key != ".dockerconfigjson" and not text.isprintable()):
        raise InvalidInputError(f"the Secret {quote(name)} holds nothing that can be sent in {key}")
    return text


def _registry(name: str, text: str, host: str) -> tuple[str, str]:
    username: Any
    password: Any
    try:
        entry = msgspec.json.decode(text.encode())["auths"][host]
        if "auth" in entry:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode("utf-8").partition(":")
        else:
            username, password = entry["username"], entry["password"]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError):
        raise InvalidInputError(f"the Secret {quote(name)} holds no credentials for {quote(host)}") from None
    if not isinstance(username, str) or not isinstance(password, str) or not password:
        raise InvalidInputError(f"the Secret {quote(name)} holds no credentials for {quote(host)}")
    return username, password


def _refused(message: str) -> UntrustedError:
    return UntrustedError(message, reason=Reason.SOURCE_NOT_ALLOWED)


def missing_secret(source: SourceSettings) -> UntrustedError:
    """What to say where a source's Secret is not there."""
    return _refused(f"the Secret {quote(source.secret)} of the ModelSource {quote(source.name)} is not in the release namespace")
