"""One object of a kind that rows describe: runs their actions."""

from typing import Any, TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence
from modeltrust.references import runs, volumes, walk
from modeltrust.references.actions import Action, Do
from modeltrust.references.annotations import matter, read_acting
from modeltrust.references.argv import Invocation, Words
from modeltrust.references.budget import bound
from modeltrust.references.engines import read_run
from modeltrust.references.env import Environment
from modeltrust.references.mentions import Mention
from modeltrust.references.paths import evaluate, parse_path
from modeltrust.references.pod import Container, EnvVar, PodSpec, PodTemplate, Volume
from modeltrust.references.scan import Scan
from modeltrust.references.schema import KindRow, RefRow, TopicRow
from modeltrust.references.site import Fill, Site, Volumes

_Typed = TypeVar("_Typed")
_NO_CONTAINER = Container()
# A member of an enumeration is looked up by three functions: too much for what every object asks.
_REF, _POD_TEMPLATE, _POD_SPEC, _CONTAINER = Do.REF, Do.POD_TEMPLATE, Do.POD_SPEC, Do.CONTAINER
_DECLARED = Confidence.DECLARED
_ANNOTATIONS = "/metadata/annotations"
Hits = list[tuple[Action, str, Any]]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A document inside the object.

    Attributes:
        pointer: where it stands.
        value: a string, or the object itself.
        topic: name of the row that says what it is.
    """

    pointer: str
    value: Any
    topic: str


class KindReader:
    """Runs the actions of one object. One per extraction.

    Attributes:
        documents: documents inside the object, still to be read.
        annotations: maps of annotations that may act, with their pointers.
        completed_elsewhere: a runtime: another object names its model, and the Pod shows both.
    """

    __slots__ = (
        "_fields", "_implied", "_later", "_named", "_pods", "_scan", "_seen", "_skipped", "_supplied", "annotations",
        "completed_elsewhere", "documents",
    )  # fmt: skip

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._supplied: tuple[str, ...] = ()
        self._skipped: list[str] = []
        self._implied = False
        self._pods = 0
        self._fields: Site | None = None
        self._seen: set[str] = set()
        self._later: list[tuple[Mention, str, str]] = []
        self._named: dict[tuple[str, str], int] = {}
        self.documents: list[Document] = []
        self.annotations: list[tuple[dict[str, str], str]] = []
        self.completed_elsewhere = False

    def annotated(self, annotations: dict[str, str], pointer: str) -> None:
        """Annotations of the object or of its Pods: those that a controller turns into containers, and ours."""
        if matter(annotations, self._scan.tables):
            self.annotations.append((annotations, pointer))
            for mention, row in read_acting(self._scan, annotations, pointer):
                if row.shown_by:
                    self._supplied += (row.destination,)
                    self._later.append((mention, row.shown_by, f"{pointer.removesuffix(_ANNOTATIONS)}/spec"))
                else:
                    self._mention(mention, row.destination)

    def finish(self) -> None:
        """What could only be said once every container was read."""
        later, self._later = self._later, []
        for mention, container, pointer in later:
            if not self._shown(mention.text, f"{pointer}/initContainers/{self._named.get((pointer, container), '')}/args/"):
                self._mention(mention, "")

    def _shown(self, text: str, arguments: str) -> bool:
        """Whether a container's arguments name the same: it knows the server that they are asked of, and where they come to lie."""
        return any(found.raw == text and found.locator.startswith(arguments) for found in self._scan.references.values())

    def run(self, row: KindRow, hits: Hits) -> None:
        """Run what the rows found.

        Args:
            row: the kind.
            hits: action, JSON Pointer and value of each place.
        """
        if row.supplied:
            self._supplied += tuple(row.supplied)
            self.completed_elsewhere |= not row.serving
        # Elsewhere a controller completes the command, and the Pod shows what comes out.
        self._implied = row.closed and not row.serving and not row.supplied
        self._skipped = row.skip_containers
        containers = [hit for hit in hits if hit[0].do is _CONTAINER] if row.containers else []
        parents = set()
        for action, pointer, value in hits:
            do = action.do
            if do is _REF:
                self._reference(row, action.ref, pointer, value)
            elif do is _POD_TEMPLATE:
                self._template(value, pointer)
            elif do is _POD_SPEC:
                parents.add(pointer)
                self.pod_spec(value, pointer, [hit for hit in containers if hit[1].rpartition("/")[0] == pointer])
            elif do is not _CONTAINER:
                self._act(action, pointer, value)
        for action, pointer, value in containers:
            if pointer.rpartition("/")[0] not in parents:
                self.container(value, pointer, action.program)

    def taught(self, action: Action, hits: list[tuple[str, Any]]) -> None:
        """Run one action of a ModelReferenceMapping: what stands there in another form is said, never passed over.

        Args:
            action: for a reference or a Pod template.
            hits: JSON Pointer and value of each place.
        """
        self._implied, self._skipped = False, []
        for pointer, value in hits:
            if action.do is _REF and isinstance(value, str):
                self._reference(None, action.ref, pointer, value, stated=True)
            elif action.do is _POD_TEMPLATE and isinstance(value, dict):
                self._template(value, pointer)
            else:
                expected = "text that names a model" if action.do is _REF else "a Pod template"
                message = f"a mapping says that {expected} stands here, and something else does"
                self._scan.problem(Reason.UNRESOLVED_REFERENCE, pointer, message, fix=f"write {expected}, or nothing")

    def _act(self, action: Action, pointer: str, value: Any) -> None:
        do = action.do
        if do is Do.ANNOTATIONS:
            self._annotations(value, pointer)
        elif do is Do.DOCUMENT:
            self.documents.append(Document(pointer, value, action.program))
        elif do is Do.VIRTUAL:
            self._virtual(value, pointer, action.program)
        else:
            self._loose(action, pointer, value)

    def _annotations(self, value: Any, pointer: str) -> None:
        if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
            self.annotated(value, pointer)

    def _loose(self, action: Action, pointer: str, value: Any) -> None:
        do = action.do
        if do is Do.VOLUME:
            volume = self._convert(value, Volume, pointer)
            if volume is not None:
                volumes.report(self._scan, volume, pointer)
        elif do is Do.ENV_LIST:
            entries = self._convert(value, list[EnvVar], pointer) if isinstance(value, (dict, list)) else None
            if entries:
                self.container(Container(env=entries), pointer, "")
        elif do is Do.ENV_MAP:
            self._env_map(value, pointer)
        elif do is Do.SHELL:
            if isinstance(value, str):
                self._scripted(value, pointer)
        else:
            self._options(action, pointer, value)

    def _virtual(self, value: Any, pointer: str, program: str) -> None:
        if not isinstance(value, dict):
            return
        fields = {key: value[key] for key in ("command", "args", "env", "envFrom", "resources") if value.get(key) is not None}
        image = value.get("image")
        if isinstance(image, dict) and isinstance(image.get("repository"), str):
            tag = image.get("tag")
            fields["image"] = f"{image['repository']}:{tag}" if isinstance(tag, str) and tag else image["repository"]
        self.container(fields, pointer, program)

    def _env_map(self, value: Any, pointer: str) -> None:
        if isinstance(value, dict):
            bound(len(value), limits.ENVIRONMENT_ENTRIES, "env entries")
            entries = [EnvVar(str(name), text) for name, text in value.items() if isinstance(text, str)]
            self.container(Container(env=entries), pointer, "")

    def _site(self, container: Container, pointer: str) -> Site:
        return Site(container, pointer, self._volumes())

    def _volumes(self, pointer: str = "") -> Volumes:
        return Volumes(pointer, {}, [Fill(None, path) for path in self._supplied]) if self._supplied else Volumes(pointer)

    def _scripted(self, text: str, pointer: str) -> None:
        site = self._site(_NO_CONTAINER, pointer)
        for mention, seen in runs.script(self._scan, text, site, Environment()):
            walk.read_mention(self._scan, mention, seen, site)
        volumes.link(self._scan, site.volumes)

    def _options(self, action: Action, pointer: str, value: Any) -> None:
        program = self._scan.tables.programs[action.program]
        if action.do is Do.FLAG_MAP and isinstance(value, dict):
            bound(len(value), limits.ARGUMENT_WORDS, "options")
            items = [f"--{name}={text}" for name, text in value.items() if isinstance(text, (str, int, float))]
        elif isinstance(value, list) and all(isinstance(word, str) for word in value):
            bound(len(value), limits.ARGUMENT_WORDS, "words")
            items = value
        else:
            return
        call = Invocation(Words(["", *items], pointer), Environment(), program, 0, 1, (0,))
        site = self._site(_NO_CONTAINER, pointer)
        for mention in read_run(self._scan, program, call, pointer, implied=False):
            walk.read_mention(self._scan, mention, call.environment, site)
        volumes.link(self._scan, site.volumes)

    def _template(self, value: Any, pointer: str) -> None:
        template = self._convert(value, PodTemplate, pointer)
        if template is None:
            return
        if template.metadata is not None and template.metadata.annotations:
            self.annotated(template.metadata.annotations, f"{pointer}/metadata/annotations")
        if template.spec is not None:
            self.pod_spec(template.spec, f"{pointer}/spec", [])

    def pod_spec(self, value: Any, pointer: str, beside: Hits) -> None:
        """Walk a Pod spec, together with containers that stand beside it."""
        if pointer in self._seen:
            return
        self._count(pointer)
        spec = self._convert(value, PodSpec, pointer)
        if spec is None:
            return
        scan = self._scan
        if self._later:
            self._named |= {(pointer, init.name or ""): place for place, init in enumerate(spec.init_containers or ())}
        known = self._volumes(f"{pointer}/volumes")
        if spec.volumes:
            walk.read_volumes(scan, spec.volumes, known)
        before = len(scan.references)
        for field, listed in (
            ("initContainers", spec.init_containers),
            ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        ):
            if listed:
                if self._skipped and field == "containers":
                    listed = [item for item in listed if item.name not in self._skipped]  # noqa: PLW2901 - the same, filtered
                walk.read_containers(scan, listed, field, known, pointer=pointer, implied=self._implied)
        for action, where, item in beside:
            self._seen.add(where)
            self._alone(item, where, action.program, known)
        volumes.link(scan, known)
        if len(scan.references) != before:
            walk.check_names(scan, spec, pointer)

    def container(self, value: Any, pointer: str, program: str) -> None:
        """Walk a container that stands alone."""
        if pointer not in self._seen:
            self._count(pointer)
            known = self._volumes()
            self._alone(value, pointer, program, known)
            volumes.link(self._scan, known)

    def _alone(self, value: Any, pointer: str, program: str, known: Volumes) -> None:
        container = self._convert(value, Container, pointer)
        if container is not None:
            site = Site(container, pointer, known)
            site.hint = self._scan.tables.programs.get(program)
            site.implied = self._implied
            walk.read_container(self._scan, site)

    def _count(self, pointer: str) -> None:
        self._seen.add(pointer)
        self._pods += 1
        if self._pods > limits.POD_SPECS:
            bound(self._pods, limits.POD_SPECS, "Pod specs in one object")

    def _convert(self, value: Any, kind: type[_Typed], pointer: str) -> _Typed | None:
        if not isinstance(value, (dict, list)):
            return value if isinstance(value, kind) else None
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self._scan.problem(Reason.UNRESOLVED_REFERENCE, pointer, f"this part has an unknown form: {error}")
            return None

    def unreadable(self, document: Document) -> None:
        """A document that is no YAML, or holds a placeholder that makes it none."""
        message = "a document inside this field cannot be read"
        self._scan.problem(
            Reason.UNRESOLVED_REFERENCE, document.pointer, message, value=str(document.value)[: limits.QUOTED_CHARACTERS]
        )

    def topic(self, row: TopicRow, value: Any, pointer: str) -> None:
        """Read a document that is no Kubernetes object."""
        for ref in row.refs:
            for where, item in evaluate(parse_path(ref.path), value, self._scan, f"{pointer}#"):
                self._reference(None, ref, where, item)
        for path in row.env_maps:
            for where, item in evaluate(parse_path(path), value, self._scan, f"{pointer}#"):
                self._env_map(item, where)

    def _reference(self, row: KindRow | None, ref: RefRow | None, pointer: str, value: Any, *, stated: bool = False) -> None:
        """Read what stands at a place; ``stated``: somebody said that models do, so that nothing is passed over, code or not."""
        if ref is None:
            return
        revision = endpoint = ""
        if ref.compose:
            if ref.unless and self._member(value, f".{ref.unless}"):
                return
            text, revision = self._composed(ref, value)
            endpoint = self._member(value, ref.endpoint[1:]) if ref.endpoint else ""
        elif isinstance(value, str):
            text = value
        else:
            text = ""
        if not text:
            return
        mention = Mention(
            ref.role,
            text,
            ref.profile or (row.profile if row is not None else "") or "bare-hf",
            pointer,
            _DECLARED,
            revision=revision,
            endpoint=endpoint.rstrip("/"),
            optional=not stated and ref.role in {"code", "config"},
        )
        self._mention(mention, ref.destination)

    def _composed(self, ref: RefRow, value: Any) -> tuple[str, str]:
        parts: list[str] = []
        for part in ref.compose:
            literal, at, path = part.partition("@")
            if not at:
                parts.append(literal)
                continue
            optional = literal.startswith("?")
            text = self._member(value, path)
            if text:
                parts.append((literal[1:] if optional else literal) + text)
            elif not optional:
                return "", ""
        return "".join(parts).rstrip("/"), self._member(value, ref.revision[1:]) if ref.revision else ""

    def _member(self, value: Any, path: str) -> str:
        found = evaluate(parse_path(f"${path}"), value, self._scan)
        return found[0][1] if found and isinstance(found[0][1], str) else ""

    def _mention(self, mention: Mention, destination: str) -> None:
        site = self._fields
        if site is None:
            site = self._fields = Site(_NO_CONTAINER, "", Volumes())
        site.pointer = mention.locator
        walk.read_mention(self._scan, mention, Environment(), site)
        if site.volumes.pending:
            volumes.link(self._scan, site.volumes)
            site.volumes.pending.clear()
        if destination:
            self._supplied += (destination,)
