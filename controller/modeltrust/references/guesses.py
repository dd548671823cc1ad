"""Programs that no table knows: what their options and variables suggest, at the lowest confidence.

A guess counts only when it looks like a reference, so that ``--model=sedan`` of a car shop stays a car.
"""

import json
from collections.abc import Iterator

from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references.argv import Invocation, Words
from modeltrust.references.engines import Engines
from modeltrust.references.env import Environment
from modeltrust.references.findings import Findings
from modeltrust.references.mentions import Mention
from modeltrust.references.options import read_options
from modeltrust.references.schema import RequestRow
from modeltrust.references.tables import Program, Tables

_Seen = tuple[Mention, Environment]
_WEIGHTS = (
    ".gguf", ".ggml", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".tar", ".tar.gz", ".tgz", ".zip", ".mar", ".ckpt", ".nemo",
    ".tensors", ".h5", ".pb", ".engine", ".plan", ".pkl", ".joblib", ".tflite", ".xml",
)  # fmt: skip
_HUBS = ("https://huggingface.co/", "https://hf.co/", "https://modelscope.cn/", "https://www.modelscope.cn/")
_MODEL_VARIABLE = "_MODEL_ID"


class Guesses:
    """Reads what no row describes. One per extraction."""

    __slots__ = ("_engines", "_findings", "_tables")

    def __init__(self, tables: Tables, findings: Findings, engines: Engines) -> None:
        self._tables = tables
        self._findings = findings
        self._engines = engines

    def options(self, call: Invocation, pointer: str) -> Iterator[_Seen]:
        """Options of an unknown program, read with the generic table."""
        for mention in self._engines.read(self._tables.generic_options, call, pointer):
            yield mention, call.environment

    def container(self, words: Words, seen: Environment, pointer: str) -> Iterator[_Seen]:
        """Options and variables of a container in which no known program runs."""
        program = self._tables.generic
        call = Invocation(words, seen, program, 0, 1, (0,) if words.items else ())
        for mention in self._engines.read(program, call, pointer):
            yield mention, seen
        for name, value in seen.values.items():
            if name.endswith(_MODEL_VARIABLE) and name not in program.env:
                yield self._variable(name, value, pointer, program), seen

    def _variable(self, name: str, value: str | None, pointer: str, program: Program) -> Mention:
        text = f"$({name})" if value is None else value
        return Mention(Role.BASE, text, program.row.profile, f"{pointer}/env/{name}", Confidence.INFERRED, weak=True)

    def everywhere(self, seen: Environment, pointer: str) -> Iterator[_Seen]:
        """Variables that name a model whatever the program is: KServe's STORAGE_URI and the like."""
        call = Invocation(Words([], pointer), seen, self._tables.anywhere, 0, 0)
        for mention in self._engines.read(self._tables.anywhere, call, pointer):
            yield mention, seen

    def web(self, program: Program, call: Invocation) -> Iterator[_Seen]:
        """``curl`` and ``wget``: a load request to a server, or a download of weights; everything else is a health check."""
        options = read_options(program, call, ())
        bodies = [text for hit in options.hits.values() if hit.row.use == "body" for text in hit.values]
        destination = next(
            (hit.values[0] for hit in options.hits.values() if hit.row.use == "destination" and hit.values), call.output
        )
        for index, text in options.bare:
            locator = call.words.locator(index)
            request = self._request(text)
            if request is not None:
                yield from self._load(request, bodies, locator, call)
            elif _is_weights(text):
                mention = Mention(Role.BASE, text, program.row.profile, locator, Confidence.DERIVED, destination=destination)
                yield mention, call.environment

    def _request(self, url: str) -> RequestRow | None:
        path = url.partition("?")[0].rstrip("/")
        return next((row for row in self._tables.requests if path.endswith(row.url)), None)

    def _load(self, row: RequestRow, bodies: list[str], locator: str, call: Invocation) -> Iterator[_Seen]:
        if row.dynamic:
            self._findings.problem(Reason.DYNAMIC_LOADING, locator, f"a request to {row.url} loads a model into a running server")
        for body in bodies:
            members = _members(body)
            if not members:
                self._findings.problem(
                    Reason.UNRESOLVED_REFERENCE, locator, f"the body of a request to {row.url} cannot be read", value=body
                )
            for key, use in row.keys.items():
                if key in members:
                    yield Mention(Role(use), members[key], row.profile, locator, Confidence.DERIVED), call.environment


def _is_weights(url: str) -> bool:
    if "://" not in url:
        return False
    path = url.partition("?")[0]
    return path.endswith(_WEIGHTS) or url.startswith(_HUBS)


def _members(body: str) -> dict[str, str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
