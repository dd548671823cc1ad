"""One object of a kind that rows describe: runs their actions."""

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references.actions import Action, Do
from modeltrust.references.annotations import read_acting
from modeltrust.references.argv import Invocation, Words
from modeltrust.references.budget import Budget, bound
from modeltrust.references.engines import Engines
from modeltrust.references.env import Environment
from modeltrust.references.findings import Findings
from modeltrust.references.mentions import Mention
from modeltrust.references.paths import evaluate, parse_path
from modeltrust.references.pod import Container, EnvVar, PodSpec, PodTemplate, Volume
from modeltrust.references.runs import Runs
from modeltrust.references.schema import KindRow, RefRow, TopicRow
from modeltrust.references.tables import Tables
from modeltrust.references.walk import Pod, Walker

_Typed = TypeVar("_Typed")
_NO_CONTAINER = Container()
Hits = list[tuple[Action, str, Any]]


@dataclass(frozen=True, slots=True)
class Document:
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
    """Runs the actions of one object. One per extraction."""

    __slots__ = (
        "_budget",
        "_documents",
        "_fields",
        "_findings",
        "_namespace",
        "_pods",
        "_skipped",
        "_supplied",
        "_tables",
        "_walker",
        "annotations",
        "completed_elsewhere",
        "documents",
        "seen",
    )

    def __init__(self, tables: Tables, findings: Findings, budget: Budget, namespace: str) -> None:
        self._tables = tables
        self._findings = findings
        self._budget = budget
        self._namespace = namespace
        self._walker = Walker(tables, findings, budget)
        self._supplied: tuple[str, ...] = ()
        self._skipped: frozenset[str] = frozenset()
        self._pods = 0
        self._fields: Pod | None = None
        self.documents: list[Document] = []
        self.annotations: list[tuple[dict[str, str], str]] = []
        self.seen: set[str] = set()
        self.completed_elsewhere = False  # a runtime: another object names its model, and the Pod shows both

    def acting(self, annotations: dict[str, str], pointer: str) -> None:
        """Annotations that a controller turns into containers."""
        for mention, destination in read_acting(annotations, pointer, self._tables, self._findings):
            self._mention(mention, destination)

    def run(self, row: KindRow, hits: Hits) -> None:
        """Run what the rows found.

        Args:
            row: the kind.
            hits: action, JSON Pointer and value of each place.
        """
        self._supplied += tuple(row.supplied)
        # Elsewhere a controller completes the command, and the Pod shows what comes out.
        self._walker.implied = row.closed and not row.serving and not row.supplied
        self._skipped = frozenset(row.skip_containers)
        self.completed_elsewhere |= bool(row.supplied) and not row.serving
        containers = [hit for hit in hits if hit[0].do is Do.CONTAINER]
        parents = {pointer for action, pointer, _ in hits if action.do is Do.POD_SPEC}
        for action, pointer, value in hits:
            if action.do is not Do.CONTAINER:
                self._act(row, action, pointer, value, containers)
        for action, pointer, value in containers:
            if pointer.rpartition("/")[0] not in parents:
                self.container(value, pointer, action.program)

    def _act(self, row: KindRow, action: Action, pointer: str, value: Any, containers: Hits) -> None:
        do = action.do
        if do is Do.REF and action.ref is not None:
            self._reference(row, action.ref, pointer, value)
        elif do is Do.POD_TEMPLATE:
            self._template(value, pointer)
        elif do is Do.POD_SPEC:
            self.pod_spec(value, pointer, [hit for hit in containers if hit[1].rpartition("/")[0] == pointer])
        elif do is Do.ANNOTATIONS:
            self._annotations(value, pointer)
        elif do is Do.DOCUMENT:
            self.documents.append(Document(pointer, value, action.program))
        elif do is Do.VIRTUAL:
            self._virtual(value, pointer, action.program)
        else:
            self._loose(action, pointer, value)

    def _annotations(self, value: Any, pointer: str) -> None:
        if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
            self.annotations.append((value, pointer))
            self.acting(value, pointer)

    def _loose(self, action: Action, pointer: str, value: Any) -> None:
        do = action.do
        if do is Do.VOLUME:
            volume = self._convert(value, Volume, pointer)
            if volume is not None:
                self._walker.volume(volume, pointer, self._namespace)
        elif do is Do.ENV_LIST:
            entries = self._convert(value, list[EnvVar], pointer)
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

    def _scripted(self, text: str, pointer: str) -> None:
        pod = self._walker.open(self._namespace, self._supplied)
        runs = Runs(self._tables, self._findings, self._budget)
        for mention, seen in runs.script(text, Environment(), pointer):
            self._walker.mention(mention, seen, _NO_CONTAINER, pointer, pod, accelerated=False)
        self._walker.close(pod)

    def _options(self, action: Action, pointer: str, value: Any) -> None:
        program = self._tables.programs[action.program]
        if action.do is Do.FLAG_MAP and isinstance(value, dict):
            bound(len(value), limits.ARGUMENT_WORDS, "options")
            items = [f"--{name}={text}" for name, text in value.items() if isinstance(text, (str, int, float))]
        elif isinstance(value, list) and all(isinstance(word, str) for word in value):
            bound(len(value), limits.ARGUMENT_WORDS, "words")
            items = value
        else:
            return
        words = Words(["", *items], pointer)
        call = Invocation(words, Environment(), program, 0, 1, (0,))
        pod = self._walker.open(self._namespace, self._supplied)
        for mention in Engines(self._tables, self._findings).read(program, call, pointer, implied=False):
            self._walker.mention(mention, call.environment, _NO_CONTAINER, pointer, pod, accelerated=False)
        self._walker.close(pod)

    def _template(self, value: Any, pointer: str) -> None:
        template = self._convert(value, PodTemplate, pointer)
        if template is None:
            return
        if template.metadata is not None and template.metadata.annotations:
            where = f"{pointer}/metadata/annotations"
            self.annotations.append((template.metadata.annotations, where))
            self.acting(template.metadata.annotations, where)
        if template.spec is not None:
            self.pod_spec(template.spec, f"{pointer}/spec", [])

    def pod_spec(self, value: Any, pointer: str, containers: Hits) -> None:
        """Walk a Pod spec, together with containers that stand beside it."""
        if pointer in self.seen:
            return
        self.seen.add(pointer)
        self._count()
        spec = self._convert(value, PodSpec, pointer)
        if spec is None:
            return
        if self._skipped and spec.containers:
            spec.containers = [item for item in spec.containers if item.name not in self._skipped]
        self._walker.pod(spec, pointer, self._namespace, supplied=self._supplied, beside=self._beside(containers))

    def _beside(self, containers: Hits) -> list[tuple[Container, str, str]]:
        found = []
        for action, pointer, value in containers:
            self.seen.add(pointer)
            container = self._convert(value, Container, pointer)
            if container is not None:
                found.append((container, pointer, action.program))
        return found

    def container(self, value: Any, pointer: str, program: str) -> None:
        """Walk a container that stands alone."""
        if pointer in self.seen:
            return
        self.seen.add(pointer)
        self._count()
        container = self._convert(value, Container, pointer)
        if container is not None:
            pod = self._walker.open(self._namespace, self._supplied)
            self._walker.container(container, pointer, pod, self._tables.programs.get(program))
            self._walker.close(pod)

    def _count(self) -> None:
        self._pods += 1
        bound(self._pods, limits.POD_SPECS, "Pod specs in one object")

    def _convert(self, value: Any, kind: type[_Typed], pointer: str) -> _Typed | None:
        if kind is PodSpec and isinstance(value, PodSpec):
            return value  # type: ignore[return-value] # the check above says it
        if not isinstance(value, (dict, list)):
            return value if isinstance(value, kind) else None
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self._findings.problem(Reason.UNRESOLVED_REFERENCE, pointer, f"this part has an unknown form: {error}")
            return None

    def unreadable(self, document: Document) -> None:
        """A document that is no YAML, or holds a placeholder that makes it none."""
        message = "a document inside this field cannot be read"
        self._findings.problem(
            Reason.UNRESOLVED_REFERENCE, document.pointer, message, value=str(document.value)[: limits.QUOTED_CHARACTERS]
        )

    def topic(self, row: TopicRow, value: Any, pointer: str) -> None:
        """Read a document that is no Kubernetes object."""
        for ref in row.refs:
            for where, item in evaluate(parse_path(ref.path), value, self._budget, f"{pointer}#"):
                self._reference(None, ref, where, item)
        for path in row.env_maps:
            for where, item in evaluate(parse_path(path), value, self._budget, f"{pointer}#"):
                self._env_map(item, where)

    def _reference(self, row: KindRow | None, ref: RefRow, pointer: str, value: Any) -> None:
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
            Confidence.DECLARED,
            revision=revision,
        )
        mention.endpoint = endpoint.rstrip("/")
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
        found = evaluate(parse_path(f"${path}"), value, self._budget)
        return found[0][1] if found and isinstance(found[0][1], str) else ""

    def _mention(self, mention: Mention, destination: str) -> None:
        pod = self._fields
        if pod is None:
            pod = self._fields = self._walker.open(self._namespace)
        mention.optional = mention.role is Role.CODE or mention.role is Role.CONFIG
        self._walker.mention(mention, Environment(), _NO_CONTAINER, mention.locator, pod, accelerated=False)
        if pod.volumes.pending:
            self._walker.close(pod)
            pod.volumes.pending.clear()
        if destination:
            self._supplied += (destination,)
