"""The public good instance's trusted_root.json, kept fresh through TUF: outside of every request, by whoever owns the folder.

What was fetched last counts until the metadata that vouches for it expires; then nothing does, and keyless signatures are
*unavailable*, never skipped (F71). Every file in the folder has a fixed name: nothing that a repository says becomes a path
(CVE-2026-24137), and only its top-level roles are read. The TUF client's own files lie apart from the one that is read, which is
replaced at once and only by a whole new set: half a refresh takes nothing away.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater, UpdaterConfig  # type: ignore[attr-defined] # re-exported without __all__

from modeltrust.domain import dsse, limits, strict_json
from modeltrust.domain.errors import MalformedError, ModelTrustError, UnavailableError, quote
from modeltrust.domain.facts import Unavailable
from modeltrust.signing.fields import fields
from modeltrust.signing.trust_root import parse_trust_root

TARGET = "trusted_root.json"
_STORE = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"  # sigstore's name for its embedded copy
_CLIENT = "client"  # what the TUF client remembers, against rollbacks
_CURRENT = "current.json"  # what counts: the target and the metadata that vouch for it, each in base64
_ROLES = ("root", "timestamp", "snapshot", "targets")
_FILES = (TARGET, *(f"{role}.json" for role in _ROLES))


@dataclass(frozen=True, slots=True)
class Repository:
    """A TUF repository.

    Attributes:
        url: where its metadata lie; targets lie in ``targets/`` below.
        root: the first root metadata that is trusted, in whatever version.
    """

    url: str
    root: bytes = field(repr=False)


def public_good() -> Repository:
    """Of the public good instance, with the root metadata in the sigstore wheel."""
    return Repository("https://tuf-repo-cdn.sigstore.dev", _embedded("root.json"))


def embedded_root() -> bytes:
    """trusted_root.json of the public good instance as the sigstore wheel has it: no folder, no network, and no expiry."""
    return _embedded(TARGET)


def refresh(folder: Path, now: int, *, repository: Repository) -> bytes:
    """Fetch what is new, and return the trusted root as it is now.

    Args:
        folder: writable, of one process alone; survives restarts where it can.
        now: unix seconds.
        repository: where from.

    Raises:
        UnavailableError: unreachable, expired, rolled back or forged; the folder's last good root stays what it was.
    """
    client = folder / _CLIENT
    try:
        client.mkdir(parents=True, exist_ok=True)
        updater = Updater(
            metadata_dir=str(client),
            metadata_base_url=repository.url,
            target_base_url=f"{repository.url.rstrip('/')}/targets/",
            bootstrap=repository.root,
            config=UpdaterConfig(max_root_rotations=limits.TUF_ROTATIONS, max_delegations=0, app_user_agent="modeltrust"),
        )
        updater.refresh()
        info = updater.get_targetinfo(TARGET)
        if info is None or info.length > limits.TRUSTED_ROOT_BYTES:
            raise UnavailableError(f"the repository lists no usable {TARGET}")
        if updater.find_cached_target(info, str(client / TARGET)) is None:
            updater.download_target(info, str(client / TARGET))
        data = strict_json.dumps({name: base64.b64encode((client / name).read_bytes()).decode("ascii") for name in _FILES})
        root = _vouched(data, now)
        (folder / f"{_CURRENT}.new").write_bytes(data)
        (folder / f"{_CURRENT}.new").replace(folder / _CURRENT)
    except (DownloadError, RepositoryError, OSError, ValueError, ModelTrustError) as error:
        raise UnavailableError(f"the trust root cannot be refreshed: {quote(f'{type(error).__name__}: {error}')}") from error
    return root


def last_good(folder: Path, now: int) -> bytes:
    """The trusted root in the folder, verified against the metadata beside it as of now; contacts nobody and writes nothing.

    Raises:
        UnavailableError: there is none, its metadata have expired, or it is not what they vouch for.
    """
    try:
        with (folder / _CURRENT).open("rb") as stream:
            return _vouched(stream.read(limits.TUF_FOLDER_BYTES + 1), now)
    except (RepositoryError, OSError, ValueError, KeyError, ModelTrustError) as error:
        raise UnavailableError(f"there is no current trust root: {quote(f'{type(error).__name__}: {error}')}") from error


class FreshRoot:
    """The trusted root of one process: ``update`` in the background, ``current`` from anywhere."""

    def __init__(self, folder: Path, repository: Repository, *, report: Callable[[str], None] = lambda _why: None) -> None:
        """Contact nobody yet.

        Args:
            folder: see ``refresh``.
            repository: see ``refresh``.
            report: told why a refresh failed.
        """
        self._folder = folder
        self._repository = repository
        self._report = report

    def update(self, now: int) -> bool:
        """Refresh; False where that failed and the last good root goes on counting, as long as it may."""
        try:
            refresh(self._folder, now, repository=self._repository)
        except UnavailableError as error:
            self._report(str(error))
            return False
        return True

    def current(self, now: int) -> bytes | Unavailable:
        """What counts now, or why nothing does."""
        try:
            return last_good(self._folder, now)
        except UnavailableError as error:
            return Unavailable(str(error))


def _embedded(name: str) -> bytes:
    return resources.files("sigstore._store").joinpath(_STORE, name).read_bytes()


def _vouched(data: bytes, now: int) -> bytes:
    files = fields(strict_json.loads(data, max_bytes=limits.TUF_FOLDER_BYTES), "a trust root", required=set(_FILES))
    read = {name: dsse.decode_base64(files[name], name) for name in _FILES}
    documents = {role: _metadata(read[f"{role}.json"], role, now) for role in _ROLES}
    for role, document in documents.items():
        documents["root"].signed.verify_delegate(role, document.signed_bytes, document.signatures)
    if documents["timestamp"].signed.snapshot_meta.version != documents["snapshot"].signed.version:
        raise MalformedError("got a timestamp about another snapshot")
    if documents["snapshot"].signed.meta["targets.json"].version != documents["targets"].signed.version:
        raise MalformedError("got a snapshot about other targets")
    documents["targets"].signed.targets[TARGET].verify_length_and_hashes(read[TARGET])
    parse_trust_root(read[TARGET])  # what cannot be read must not replace what can
    return read[TARGET]


def _metadata(data: bytes, role: str, now: int) -> Metadata[Any]:
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    if metadata.signed.type != role:
        raise MalformedError(f"got metadata of role {quote(metadata.signed.type)}, expected {role}")
    if metadata.signed.is_expired(datetime.fromtimestamp(now, UTC)):
        raise UnavailableError(f"the {role} metadata ended at {metadata.signed.expires.isoformat()}")
    return metadata
