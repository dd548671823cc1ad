"""The script of `helm test`: passes when our webhook refused, and for no other reason."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modeltrust.api.compile import check_object
from modeltrust.domain.errors import InvalidInputError
from tests.support import trusted
from tests.support.helm import CHART


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with an account's folder, and a second to try."""
    specification = importlib.util.spec_from_file_location("denial", CHART / "files" / "denial.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    (tmp_path / "token").write_text("a-token\n")
    monkeypatch.setattr(module, "ACCOUNT", tmp_path)
    monkeypatch.setattr(module, "SECONDS", 0)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


@pytest.fixture
def asked(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """An API server that answers from the list: (status, body); what it was asked is appended."""
    answers: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Authorization"] == "Bearer a-token"
            assert self.path.endswith("?dryRun=All")
            assert body == script.POLICY
            status, answer = answers.pop(0)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(script.ssl, "create_default_context", lambda **_: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_port))
    real = script.ask
    monkeypatch.setattr(script, "ask", lambda url, account: real(url.replace("https:", "http:"), account))
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


OURS = 'admission webhook "open.admission.modeltrust.dev" denied the request: modeltrust: 1 problem in ModelPolicy modeltrust-test'


def test_a_refusal_of_ours_passes(script: ModuleType, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    asked.append((422, {"message": OURS}))

    assert script.main() == 0
    assert "denied, as it must be" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        (201, {"kind": "ModelPolicy"}),
        (403, {"message": 'modelpolicies.modeltrust.dev is forbidden: User "x" cannot create resource'}),
        (404, {"message": "the server could not find the requested resource"}),
        (422, {"message": "ModelPolicy.modeltrust.dev is invalid: spec: Required value"}),
        (500, {"message": 'failed calling webhook "closed.admission.modeltrust.dev": connection refused'}),
        (403, {"message": 'admission webhook "policies.example" denied the request: modeltrust: no'}),
        (422, {}),
    ],
)
def test_every_other_answer_fails(script: ModuleType, asked: list[Any], answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked.append(answer)

    assert script.main() == 1
    assert "FAILED" in capsys.readouterr().out


def test_no_answer_at_all_fails(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(script.ssl, "create_default_context", lambda **_: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")

    assert script.main() == 1
    assert "no answer" in capsys.readouterr().out


def test_the_policy_is_refused_for_its_unknown_field_alone(script: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match="thisFieldIsNoField"):
        check_object(script.POLICY, trusted.EXTRACTOR)
    del script.POLICY["spec"]["thisFieldIsNoField"]
    check_object(script.POLICY, trusted.EXTRACTOR)
