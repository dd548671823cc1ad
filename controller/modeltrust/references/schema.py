"""The schema of the rows: what rows/*.yaml may say. Unknown keys are refused, so that a typo cannot switch a row off."""

from typing import Literal

import msgspec

from modeltrust.domain.workload import Role


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of all rows: strict."""


FlagUse = Literal[
    "base",
    "adapter",
    "draft",
    "tokenizer",
    "code",
    "config",
    "projector",
    "repository",
    "revision",  # pin of another reference (``of``)
    "resolver",  # changes where bytes come from; any value is a finding unless it is in ``harmless``
    "file",  # a file that may hold further references
    "trust",  # code from the model repository is run
    "enabler",  # models can be loaded later
    "body",  # an HTTP body
    "kind",  # repository type: model, dataset or space
    "destination",
    "argv",  # more command line words in one string
    "ignore",
]
ValueFormat = Literal[
    "plain",
    "csv",  # a,b
    "named",  # name=value, or a JSON object with a path; lists of words
    "named-csv",  # name=id@revision,name=id@revision
    "scaled",  # file:scale, comma separated
    "json",  # a JSON object: ``keys`` says which members are what
    "json-map",  # a JSON object: every value is a reference
    "inline",  # a path, or the content itself
]


class FlagRow(Row, frozen=True):
    """An option of a program, or an environment variable when it stands in ``env``."""

    names: list[str]
    use: FlagUse
    arity: Literal[0, 1, "+"] = 1
    of: FlagUse = "base"  # for revision: whose
    format: ValueFormat = "plain"
    keys: dict[str, FlagUse] = {}
    profile: str = ""  # the engine's, when empty
    harmless: list[str] = []  # values that change nothing
    only: list[str] = []  # an enabler only for these values
    unless: list[str] = []  # an enabler only when none of these options stands beside it
    append: bool = False  # a repeated option accumulates
    hub: str = ""  # for resolver: the hub that a true value selects


class PositionalRow(Row, frozen=True):
    """Bare words after a sub command."""

    after: list[str] = []
    use: FlagUse = "base"
    index: int | Literal["all", "even"] = 0


class ProgramRow(Row, frozen=True):
    """A server, a downloader or a client: how it is recognised and which of its words name what."""

    name: str
    kind: Literal["engine", "downloader", "client"] = "engine"
    commands: list[list[str]] = []
    images: list[str] = []  # parts of an image name, with a leading "/" where a path component must start
    containers: list[str] = []  # container names that a controller gives
    entrypoint: list[str] = []  # what the image runs when there are args but no command
    dashes: bool = False  # "_" and "-" are the same in option names
    abbreviations: bool = False
    single_dash: bool = False  # long options may have one dash (Go)
    equals: bool = True  # --flag=value exists
    dotted: bool = False  # --flag.key value
    positional: list[PositionalRow] = []
    flags: list[FlagRow] = []
    switches: list[str] = []  # options without a value that are known to mean nothing here
    ignored: list[str] = []  # options with a value that look like models and are none
    env: list[FlagRow] = []
    include: list[str] = []  # flags and env of these programs, too
    default: str = ""  # model that is loaded when none is named
    profile: str = "bare-hf"
    dynamic: bool = False  # serves whatever a request names: always a finding
    web: bool = False  # an HTTP client: its URLs are models only when they look like weights
    weak: bool = False  # a guess: values count only when they look like references
    hosts: list[str] = []  # references are models only on these hosts


class CallRow(Row, frozen=True):
    """A Python call that fetches a model."""

    names: list[str]
    arguments: dict[str, FlagUse]
    role: Role = Role.BASE
    profile: str = "bare-hf"


class RequestRow(Row, frozen=True):
    """An HTTP call that makes a server load something."""

    url: str  # end of the path
    keys: dict[str, FlagUse]
    profile: str
    dynamic: bool = False


class RefRow(Row, frozen=True):
    """A field of an object that names a model."""

    path: str
    role: Role = Role.BASE
    profile: str = ""
    compose: list[str] = []  # parts: text, "@.path" (must exist) or "?<text>@.path" (text and value, when it exists)
    revision: str = ""  # "@.path" from the parent of a composed value
    endpoint: str = ""  # "@.path" of a server stated beside it
    destination: str = ""  # path in the container where its content appears
    unless: str = ""  # member of the composed value that takes its place


class PlaceRow(Row, frozen=True):
    """Where a container, a Pod spec, an env list … stands."""

    path: str
    program: str = ""


class DocumentRow(Row, frozen=True):
    """A document inside a string (YAML or JSON), or a whole object inside an object."""

    path: str
    topic: str


class TopicRow(Row, frozen=True):
    """What stands in such a document."""

    name: str
    manifest: bool = False  # a Kubernetes object of any kind
    refs: list[RefRow] = []
    env_maps: list[str] = []


class KindRow(Row, frozen=True):
    """An API kind."""

    group: str
    kinds: list[str]
    versions: list[str]
    closed: bool = False  # the rows say everything: no generic walk
    serving: bool = False  # an object of this kind exists to serve a model
    cluster: bool = False
    runtime_loaded: bool = False
    profile: str = ""
    refs: list[RefRow] = []
    pod_templates: list[str] = []
    pod_specs: list[str] = []
    containers: list[PlaceRow] = []
    env_lists: list[str] = []
    env_maps: list[PlaceRow] = []
    argv: list[PlaceRow] = []
    flag_maps: list[PlaceRow] = []
    shell: list[str] = []
    volumes: list[str] = []
    annotations: list[str] = []  # maps of annotations that are copied to Pods
    virtual: list[PlaceRow] = []  # containers whose image is an object, or that are scattered over fields
    documents: list[DocumentRow] = []
    supplied: list[str] = []  # container paths that the controller fills from the model field
    skip: list[str] = []  # keys the generic walk does not enter: data sets, look-alikes
    skip_containers: list[str] = []  # containers that fetch data sets

    @property
    def names_models(self) -> bool:
        """Whether an object of this kind can name a model at all; where rows are not closed, whatever stands in it may."""
        places = (self.refs, self.pod_templates, self.pod_specs, self.containers, self.virtual, self.documents)
        return not self.closed or any((*places, self.argv, self.shell, self.volumes, self.flag_maps))


class SchemeRow(Row, frozen=True):
    """How a scheme is read under a profile."""

    reader: Literal["hub", "image", "ollama", "bucket", "claim", "path", "web", "store", "registry", "unpacker"]
    separator: Literal["", ":", "@"] = ""  # between a hub id and its revision
    scheme: str = ""  # canonical scheme


class ProfileRow(Row, frozen=True):
    """How strings of one API group or tool are read."""

    name: str
    bare: Literal["hub", "path", "image", "ollama", "store", "llamacpp", "rclone", "claim", "none"]
    schemes: dict[str, SchemeRow] = {}
    scheme: str = ""  # canonical scheme of a bare string read as "store"


class DriverRow(Row, frozen=True):
    """A CSI driver."""

    driver: str
    reference: str = ""  # volume attribute that names the content; empty: opaque
    revision: str = ""
    resolver: str = ""
    kind: str = ""  # attribute whose value must be empty or in ``kinds``
    kinds: list[str] = []
    profile: str = ""
    scheme: str = ""  # prefix of the attribute's value
    live: bool = False
    ignore: bool = False  # holds no model


class AnnotationRow(Row, frozen=True):
    """An annotation that acts."""

    key: str
    prefix: bool = False
    use: FlagUse = "base"
    profile: str = "kserve"
    destination: str = ""
    shown_by: str = ""  # the init container that a controller makes of it, once; where it is there already, it does nothing


class ResolverRow(Row, frozen=True):
    """An environment variable that decides where bytes come from."""

    names: list[str]
    schemes: list[str] = []  # references that it redirects; empty: all but digests
    endpoint: bool = False  # a literal URL is its own identity instead of a finding
    secure: str = ""  # the variable that says whether an endpoint without a scheme is asked over TLS, which it is by default
    default: str = ""
    hub: str = ""
    cache: bool = False  # a directory that is trusted without asking the hub


class Rows(Row, frozen=True):
    """Everything together, as wiring/rows.py reads it."""

    version: str
    programs: list[ProgramRow]
    profiles: list[ProfileRow]
    kinds: list[KindRow]
    topics: list[TopicRow]
    calls: list[CallRow]
    requests: list[RequestRow]
    drivers: list[DriverRow]
    annotations: list[AnnotationRow]
    resolvers: list[ResolverRow]
    accelerators: list[str]
    opaque_flags: list[str]  # parts of an unknown option that make it suspicious
    quiet_commands: list[str]  # programs that only print or install
    wrappers: list[str]
    shells: list[str]
    watched_labels: list[str]
