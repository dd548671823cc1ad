"""The command line in this process, over a small trusted world on disk."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from modeltrust.cli.main import main
from modeltrust.policy.policy import Namespace
from tests.support.doors import Asked, write_trust
from tests.support.statements import COMMIT, a_statement

NOW = "2026-09-21T14:13:20Z"  # tests.support.statements.NOW
PINNED = ["acme/guard-7b", "--revision", COMMIT]
BRANCH = ["acme/guard-7b", "--revision", "main"]
UNKNOWN = ["acme/guard-7b", "--revision", "1" * 40]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Object:
        """Standard output, which must be one JSON document."""
        value: Object = json.loads(self.out)
        return value


class CommandLine:
    """Runs commands in a folder of their own."""

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._captured = captured
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: str | Path, stdin: str | bytes | None = None) -> Ran:
        if stdin is not None:
            data = stdin if isinstance(stdin, bytes) else stdin.encode()
            self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = main([str(argument) for argument in arguments])
        said = self._captured.readouterr()
        assert "Traceback" not in said.err
        return Ran(code, said.out, said.err)

    def write(self, name: str, content: str | Object) -> Path:
        """Write a file; an object as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def trust(self, *objects: Object, namespace: str = "team-a") -> Path:
        """A trust folder with these objects, a namespace and a statement about ``hf://acme/guard-7b@COMMIT``."""
        folder = self.folder / "trust"
        folder.mkdir(exist_ok=True)
        labelled = Namespace(namespace, MappingProxyType({"modeltrust.dev/tier": "prod"}))
        write_trust(Asked("", {}, objects or (policy(),), labelled, (a_statement(),)), folder)
        return folder


CommandLineFixture = Callable[..., Ran]


def policy(name: str = "production", *requirements: Object, namespaces: tuple[str, ...] = ("team-a",), **changes: Any) -> Object:
    """A policy that demands pins and safetensors."""
    spec = {
        "mode": "Enforce",
        "match": {"namespaces": {"names": list(namespaces)}, "models": ["**"]},
        "contact": "#ml-platform",
        "requirements": list(requirements) or [{"type": "Pinned"}, {"type": "Formats", "formats": {"allowed": ["Safetensors"]}}],
        **changes,
    }
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {"name": name}, "spec": spec}


def pod(args: list[str] = PINNED, *, namespace: str | None = "team-a", name: str = "guard") -> Object:
    """A vLLM Pod."""
    endpoint = {"name": "HF_ENDPOINT", "value": "https://huggingface.co"}
    container = {"name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "command": ["vllm", "serve"], "args": args, "env": [endpoint]}
    metadata = {"name": name} | ({} if namespace is None else {"namespace": namespace})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
