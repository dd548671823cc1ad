"""ModelSource, from what is written to what decides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modeltrust.api.compile.reading import read
from modeltrust.api.compile.selectors import globs
from modeltrust.api.v1alpha1 import model_source as api
from modeltrust.domain import limits
from modeltrust.domain.globs import Glob


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A compiled ModelSource.

    Attributes:
        name: metadata.name.
        models: globs over canonical references.
        type: ``HuggingFace``, ``OCI``, ``S3`` or ``HTTPS``.
        endpoints: ``https://host[:port]``, the only hosts contacted.
        secret: name of the Secret with credentials, empty for none.
        signature_paths: files in the model that hold signatures.
        signature_repositories: registry repositories that hold signatures.
        max_bytes: bound on one model, None for no own bound.
        max_files: bound on one model.
        ca: PEM of authorities, empty for the system's.
        allow_private: whether private addresses may be contacted.
    """

    name: str
    models: tuple[Glob, ...]
    type: str
    endpoints: tuple[str, ...]
    secret: str = ""
    signature_paths: tuple[str, ...] = ()
    signature_repositories: tuple[str, ...] = ()
    max_bytes: int | None = None
    max_files: int = limits.FILES
    ca: bytes = b""
    allow_private: bool = False


def compile_source(obj: Mapping[str, Any]) -> SourceSettings:
    """Compile a ModelSource; a broken one is no source.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    places = spec.signatures or []
    bounds = spec.limits
    return SourceSettings(
        name=found.name,
        models=globs(spec.models),
        type=spec.type,
        endpoints=tuple(spec.endpoints),
        secret=spec.credentials.secret_name if spec.credentials is not None else "",
        signature_paths=tuple(place.path for place in places if place.path is not None),
        signature_repositories=tuple(place.oci for place in places if place.oci is not None),
        max_bytes=bounds.max_bytes if bounds is not None else None,
        max_files=(bounds.max_files if bounds is not None else None) or limits.FILES,
        ca=(spec.ca_bundle or "").encode(),
        allow_private=spec.allow_private_addresses,
    )
