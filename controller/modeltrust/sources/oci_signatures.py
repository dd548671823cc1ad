"""Signatures of one manifest in a registry: bundles that refer to it, and cosign's old layout.

Whoever may push can write all of it, so nothing here is believed: what is found is handed over as documents, so few that all
can be judged. Sources: cosign BUNDLE_SPEC and SIGNATURE_SPEC; facts/signing.md section 7.2.
"""

from dataclasses import dataclass

from modeltrust.domain import limits, simple_signing
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.sources import manifests
from modeltrust.sources.manifests import Descriptor, Manifest
from modeltrust.sources.registry import Repository

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"  # cosign v3 (BUNDLE_SPEC), sigstore bundle 0.3


@dataclass(frozen=True, slots=True)
class Signatures:
    """Where signatures of a manifest are looked for.

    Attributes:
        repository: that holds them; not always the manifest's own.
        digest: of the manifest, ``sha256:<hex>``.
    """

    repository: Repository
    digest: str

    def bundles(self) -> tuple[bytes, ...]:
        """Sigstore bundles in manifests that refer to the manifest.

        Raises:
            UnavailableError: the registry does not answer, or lists a bundle that it does not serve.
            MalformedError: an answer makes no sense.
            LimitExceededError: too many or too large.
        """
        found: dict[str, Descriptor] = {}
        for referrer in self._referrers():
            try:
                manifest = manifests.parse(
                    self.repository.manifest(f"sha256:{referrer}", accept=manifests.ACCEPTED, sha256=referrer)
                )
            except NotFoundError:
                continue  # a fallback tag may outlive what it lists; a missing signature vouches for nothing
            if isinstance(manifest, Manifest) and f"sha256:{manifest.subject}" == self.digest:
                found |= {layer.sha256: layer for layer in manifest.layers if layer.media_type == BUNDLE_TYPE}
            self._check(len(found), "signature bundles that refer to it")
        return tuple(map(self._blob, found.values()))

    def simple(self) -> tuple[bytes, ...]:
        """What cosign 1 and 2 left in the tag ``sha256-<hex>.sig``, as documents of ``domain.simple_signing``.

        Raises:
            UnavailableError: as ``bundles``.
            MalformedError: as ``bundles``.
            LimitExceededError: as ``bundles``.
        """
        tag = f"{self.digest.replace(':', '-')}.sig"
        try:
            manifest = manifests.parse(self.repository.manifest(tag, accept=manifests.ACCEPTED))
        except NotFoundError:
            return ()
        if not isinstance(manifest, Manifest):
            raise MalformedError(f"got an index as tag {quote(tag)}, expected a manifest of signatures")
        layers = tuple(layer for layer in manifest.layers if layer.media_type == simple_signing.MEDIA_TYPE)
        self._check(len(layers), f"signatures in tag {quote(tag)}")
        return tuple(simple_signing.document(self._blob(layer), layer.annotations) for layer in layers)

    def _check(self, count: int, what: str) -> None:
        # before anything is fetched: 10,000 of them cost whoever wrote them one push (fault F67)
        if count > limits.BUNDLES_PER_MODEL:
            raise LimitExceededError(f"got {count} {what}, expected at most {limits.BUNDLES_PER_MODEL}")

    def _referrers(self) -> tuple[str, ...]:
        # descriptors are hints that registries fill wrongly (go-containerregistry: artifactType), so each manifest is read
        found: dict[str, None] = {}
        for page in self.repository.referrers(self.digest):
            parsed = manifests.parse(page)
            if not isinstance(parsed, tuple):
                raise MalformedError("got a manifest where an index of referrers was expected")
            found |= {child.sha256: None for child in parsed}
        if len(found) > limits.OCI_REFERRERS:
            raise LimitExceededError(f"got {len(found)} referrers, expected at most {limits.OCI_REFERRERS}")
        return tuple(found)

    def _blob(self, layer: Descriptor) -> bytes:
        if layer.size > limits.BUNDLE_BYTES:
            raise LimitExceededError(f"got a signature bundle of {layer.size} bytes, expected at most {limits.BUNDLE_BYTES}")
        try:
            return self.repository.blob(layer.sha256, layer.size)
        except NotFoundError as error:
            raise UnavailableError(f"a signature bundle is listed and missing: {error}") from error
