"""Programs that no table knows: what their options and variables suggest, at the lowest confidence.

A guess counts only when it looks like a reference, so that ``--model=sedan`` of a car shop stays a car.
"""

import json
from collections.abc import Iterator

from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references.argv import Invocation, Words
from modeltrust.references.engines import read_run
from modeltrust.references.env import Environment
from modeltrust.references.mentions import Mention
from modeltrust.references.options import read_options
from modeltrust.references.scan import Scan
from modeltrust.references.schema import RequestRow
from modeltrust.references.tables import Program

Seen = tuple[Mention, Environment]  # with what the program that reads it sees
_WEIGHTS = (
    ".gguf", ".ggml", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".tar", ".tar.gz", ".tgz", ".zip", ".mar", ".ckpt", ".nemo",
    ".tensors", ".h5", ".pb", ".engine", ".plan", ".pkl", ".joblib", ".tflite", ".xml",
)  # fmt: skip
_HUBS = ("https://huggingface.co/", "https://hf.co/", "https://modelscope.cn/", "https://www.modelscope.cn/")
_MODEL_VARIABLE = "_MODEL_ID"


def options(scan: Scan, call: Invocation, pointer: str) -> list[Seen]:
    """Options of an unknown program, read with the generic table."""
    return [(mention, call.environment) for mention in read_run(scan, scan.tables.generic_options, call, pointer)]


def container(scan: Scan, words: Words, known: Environment, pointer: str) -> list[Seen]:
    """Options and variables of a container in which no known program runs."""
    program = scan.tables.generic
    call = Invocation(words, known, program, 0, 1, (0,) if words.items else ())
    seen = [(mention, known) for mention in read_run(scan, program, call, pointer)]
    for name, value in known.values.items():
        if name.endswith(_MODEL_VARIABLE) and name not in program.env:
            seen.append((_variable(name, value, pointer, program), known))
    return seen


def _variable(name: str, value: str | None, pointer: str, program: Program) -> Mention:
    text = f"$({name})" if value is None else value
    return Mention(Role.BASE, text, program.row.profile, f"{pointer}/env/{name}", Confidence.INFERRED, weak=True)


def everywhere(scan: Scan, known: Environment, pointer: str) -> list[Seen]:
    """Variables that name a model whatever the program is: KServe's STORAGE_URI and the like."""
    program = scan.tables.anywhere
    call = Invocation(Words([], pointer), known, program, 0, 0)
    return [(mention, known) for mention in read_run(scan, program, call, pointer)]


def web(scan: Scan, program: Program, call: Invocation) -> Iterator[Seen]:
    """``curl`` and ``wget``: a load request to a server, or a download of weights; everything else is a health check."""
    stated = read_options(program, call, ())
    bodies = [text for hit in stated.hits.values() if hit.row.use == "body" for text in hit.values]
    destination = next((hit.values[0] for hit in stated.hits.values() if hit.row.use == "destination" and hit.values), call.output)
    for index, text in stated.bare:
        locator = call.words.locator(index)
        request = _request(scan, text)
        if request is not None:
            for mention in _load(scan, request, bodies, locator):
                yield mention, call.environment
        elif _is_weights(text):
            mention = Mention(Role.BASE, text, program.row.profile, locator, Confidence.DERIVED, destination=destination)
            yield mention, call.environment


def _request(scan: Scan, url: str) -> RequestRow | None:
    path = url.partition("?")[0].rstrip("/")
    return next((row for row in scan.tables.requests if path.endswith(row.url)), None)


def _load(scan: Scan, row: RequestRow, bodies: list[str], locator: str) -> Iterator[Mention]:
    if row.dynamic:
        scan.problem(Reason.DYNAMIC_LOADING, locator, f"a request to {row.url} loads a model into a running server")
    for body in bodies:
        members = _members(body)
        if not members:
            message = f"the body of a request to {row.url} cannot be read"
            scan.problem(Reason.UNRESOLVED_REFERENCE, locator, message, value=body)
        for key, use in row.keys.items():
            if key in members:
                yield Mention(Role(use), members[key], row.profile, locator, Confidence.DERIVED)


def _is_weights(url: str) -> bool:
    if "://" not in url:
        return False
    if "$" in url:
        url = url[max(url.find("http"), 0) :].rstrip("}")  # ${X:+https://…}
    path = url.partition("?")[0]
    return path.endswith(_WEIGHTS) or url.startswith(_HUBS)


def _members(body: str) -> dict[str, str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
