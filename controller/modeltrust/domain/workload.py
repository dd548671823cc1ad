"""What extraction returns: everything a workload loads, and everything it may load that cannot be named."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, ModelReference, Revision
from modeltrust.domain.values import value


class Role(StrEnum):
    """What a reference is used for; one word in code, JSON and documentation."""

    BASE = "base"
    ADAPTER = "adapter"
    DRAFT = "draft"
    TOKENIZER = "tokenizer"
    CODE = "code"
    CONFIG = "config"
    PROJECTOR = "projector"
    REPOSITORY = "repository"
    IMAGE = "image"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How a reference was found."""

    DECLARED = "declared"  # stands in a typed field
    DERIVED = "derived"  # came through env, shell or a volume
    INFERRED = "inferred"  # guessed from shape or a generic table


@value
class AtLoad:
    """Whether the bytes of one model are compared in the Pod, after they are written and before anything reads them.

    Attributes:
        digest: of the content that is demanded there; None where nothing has to be demanded, or it is not known yet.
        why: it is not; empty where it is, or will be in the Pods that come out of this object.
    """

    digest: ContentDigest | None = None
    why: str = ""


@value
class Placed:
    """Where a container writes or reads a model.

    Attributes:
        key: canonical text of the reference, with ``@revision`` where one is stated.
        volume: name of the volume; empty where the path lies in none.
        path: inside it, without leading or trailing slash.
    """

    key: str
    volume: str
    path: str


@value
class FoundReference:
    """One model, adapter, tokenizer … that a workload loads.

    Attributes:
        raw: the string as written.
        reference: canonical, resolver included.
        revision: as stated.
        role: what it is used for.
        locator: JSON Pointer into the object, with a sub-locator such as ``/spec/containers/0/args/2#word 7``.
        confidence: how it was found.
        spelling: grammar of the field it stands in (``hf-flag``, ``kserve``, ``image`` …), so that a fix can be written in it.
        at_load: whether its bytes are compared in the Pod; None where no policy asks.
    """

    raw: str
    reference: ModelReference
    revision: Revision
    role: Role
    locator: str
    confidence: Confidence
    spelling: str = ""
    at_load: AtLoad | None = None

    def identity(self) -> Identity | None:
        """The key of the facts about it, where its revision is immutable."""
        return Identity(self.reference, self.revision) if self.revision.immutable else None


@value
class Unresolved:
    """Something that is, or may be, loaded and cannot be named: never silence.

    Attributes:
        reason: UnresolvedReference, UndeclaredResolver, OpaqueSource, DynamicLoading, RemoteCode or LimitExceeded.
        locator: as in FoundReference.
        message: one sentence, safe to show.
        value: the string that could not be resolved, truncated, without secrets.
        fix: what to do, in this kind's own grammar; may be empty.
    """

    reason: Reason
    locator: str
    message: str
    value: str = ""
    fix: str = ""


@value
class FoundImage:
    """A container image that the workload runs.

    Attributes:
        reference: as written.
        locator: JSON Pointer.
        accelerator: whether its container (or Pod) asks for an accelerator.
    """

    reference: str
    locator: str
    accelerator: bool = False


@value
class Workload:
    """Everything that matters about one object.

    Attributes:
        group: API group, empty for core.
        version: API version.
        kind: kind.
        namespace: empty for cluster-scoped objects.
        name: metadata.name, or generateName with a trailing "*".
        references: what it loads, without duplicates, in order of appearance.
        unresolved: what cannot be named.
        images: container images.
        accelerators: whether any container asks for an accelerator.
        runtime_loaded: the model reaches running Pods without a new Pod, so this object is the only gate.
        declared: references from the annotation modeltrust.dev/models, by canonical text; they satisfy only AllowDeclared.
        content_digests: from the annotation modeltrust.dev/content-digests, by canonical reference text.
        inference: whether it looks like inference at all (engine, serving kind, accelerator, reference).
        placed: where the containers of its Pod write or read each model.
        paths: (volume, path inside it) of everything that containers read which others of the Pod write.
    """

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    references: tuple[FoundReference, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    images: tuple[FoundImage, ...] = ()
    accelerators: bool = False
    runtime_loaded: bool = False
    declared: frozenset[str] = frozenset()
    content_digests: Mapping[str, ContentDigest] = field(default_factory=lambda: MappingProxyType({}))
    inference: bool = False
    placed: tuple[Placed, ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
