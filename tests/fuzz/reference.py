"""A slow, obvious, independent reference for the verdict: no code of the product, only ``json`` and ``shlex``.

It answers "may this be admitted?" for bodies that nobody labelled. It says no only where it is certain: something that it finds by
the plainest reading loads what nobody attested. Everything clever is left to labels (tests/fuzz/launches.py).
"""

import json
import shlex
from collections.abc import Iterator
from typing import Any

from tests.fuzz.world import ENFORCED, MODEL, REVISION
from tests.support.trusted import ADAPTER

_ATTESTED = {MODEL, f"hf://{MODEL}"}  # vLLM refuses the second: nothing is loaded
_HUB = "https://huggingface.co"
_JUDGED = {"CREATE", "UPDATE"}
_PATHS = {  # where each kind, as Kubernetes itself defines it, has its Pod spec
    ("v1", "Pod"): ("spec",),
    ("apps/v1", "Deployment"): ("spec", "template", "spec"),
    ("apps/v1", "StatefulSet"): ("spec", "template", "spec"),
    ("batch/v1", "Job"): ("spec", "template", "spec"),
}


def may_admit(body: bytes) -> bool:
    """Whether admitting this body could be right."""
    try:
        request = json.loads(body.decode("utf-8-sig", "surrogateescape"))["request"]
        if request["operation"] == "DELETE":
            return True
        if request["operation"] not in _JUDGED or not isinstance(request.get("object"), dict):
            return False
        if request.get("namespace") != ENFORCED or _unchanged(request):
            return True
        return not any(True for _ in certain(request["object"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def certain(obj: dict[str, Any]) -> Iterator[str]:
    """What in an object is certainly not attested, in words."""
    uri = _at(obj, "spec", "predictor", "model", "storageUri")
    kserve = obj.get("apiVersion") == "serving.kserve.io/v1beta1" and obj.get("kind") == "InferenceService"
    if kserve and isinstance(uri, str) and uri and uri != f"hf://{MODEL}:{REVISION}":
        yield f"storageUri {uri}"
    path = _PATHS.get((str(obj.get("apiVersion")), str(obj.get("kind"))))
    spec = None if path is None else _at(obj, *path)
    if isinstance(spec, dict):
        yield from _spec(spec)


def _spec(spec: dict[str, Any]) -> Iterator[str]:
    for volume in _list(spec.get("volumes")):
        reference = _at(volume, "image", "reference")
        if isinstance(reference, str) and reference and f"oci://{reference}" != ADAPTER:
            yield f"image volume {reference}"
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in _list(spec.get(key)):
            if isinstance(container, dict):
                yield from _container(container)


def _container(container: dict[str, Any]) -> Iterator[str]:
    words = [*_list(container.get("command")), *_list(container.get("args"))]
    if not all(isinstance(word, str) and "$" not in word for word in words):
        return
    loads = list(_loads(words))
    yield from loads
    if _names_model(words):
        entries = [entry for entry in _list(container.get("env")) if isinstance(entry, dict) and entry.get("name") == "HF_ENDPOINT"]
        value = entries[-1].get("value") if entries else None  # of several entries the last one wins
        if str(value or _HUB).rstrip("/") != _HUB:  # as the client itself strips it
            yield f"HF_ENDPOINT {value}"


def _loads(words: list[str]) -> Iterator[str]:
    if words[:2] in (["sh", "-c"], ["bash", "-c"]) and len(words) == 3:
        try:
            inner = shlex.split(words[2])
        except ValueError:
            return
        if not set(words[2]) & set("\\'\"`&|<>(){}#\n!*?[~"):
            for command in " ".join(inner).split(";"):
                yield from _loads(command.split())
    elif words[:2] == ["vllm", "serve"] and len(words) > 2:
        if not words[2].startswith("-") and words[2] not in _ATTESTED and "--model" not in " ".join(words):
            yield f"vllm serve {words[2]}"
        yield from _pinned(words)
        if {"--trust-remote-code", "--trust_remote_code"} & set(words):
            yield "code of the repository"
    elif words[:2] == ["hf", "download"] and len(words) > 2 and not words[2].startswith("-"):
        if words[2] != MODEL:
            yield f"hf download {words[2]}"
        yield from _pinned(words)


def _pinned(words: list[str]) -> Iterator[str]:
    places = [index for index, word in enumerate(words) if word == "--revision"]
    if any("=" in word and word.startswith("--rev") for word in words):
        return
    if not places:
        yield "no revision"
    elif words[places[-1] + 1 : places[-1] + 2] != [REVISION]:
        yield "another revision"


def _names_model(words: list[str]) -> bool:
    return words[:2] == ["vllm", "serve"] and len(words) > 2 and not words[2].startswith(("-", "/", "."))


def _unchanged(request: dict[str, Any]) -> bool:
    old, new = request.get("oldObject"), request["object"]
    if request["operation"] != "UPDATE" or not isinstance(old, dict):
        return False
    return all(old.get(key) == new.get(key) for key in (old.keys() | new.keys()) - {"metadata", "status"})


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
