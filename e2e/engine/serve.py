"""The engine's process: takes llama-server's arguments as the operator passes them, and behaves well or, with --zoo, badly.

Runs in a container that nobody trusts: it is the untrusted side of the evaluation gate's tests.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

INNER = 8001
SCRATCH = Path("/tmp/model.gguf")  # noqa: S108 - in a container
CRASH_AFTER, CRASH_CODE = 40, 3
PRINTED = 200 * 1024 * 1024  # the kubelet keeps ten megabytes of it
FLOOD = 1024 * 1024


def main(arguments: list[str]) -> None:
    """Serve until somebody ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--zoo", default="", choices=["", "lies", "crashes", "never", "prints", "memory", "flood"])
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container is not ended by it
    if options.zoo == "never":
        threading.Event().wait()
    if options.zoo == "memory":
        _exhaust()
    if options.zoo == "prints":
        threading.Thread(target=_print, daemon=True).start()
    host, port = (options.host, options.port) if options.zoo in ("", "prints") else ("127.0.0.1", INNER)
    server = _llama(options.model, host, port, options.parallel)
    if (host, port) != (options.host, options.port):
        handler = type("Handler", (_Between,), {"zoo": options.zoo})
        ThreadingHTTPServer((options.host, options.port), handler).serve_forever()
    threading.Event().wait()
    del server


def _llama(model: Path, host: str, port: int, parallel: int) -> Any:
    import xllamacpp  # noqa: PLC0415 - not installed where the tests are linted

    from modeltrust.evaluation.conversion import convert  # noqa: PLC0415 - the same

    if model.is_dir():
        convert(model, SCRATCH)
        model = SCRATCH
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.hostnames, parameters.port = [host], port
    parameters.n_ctx, parameters.n_parallel = 1_024, parallel
    parameters.warmup, parameters.fit_params, parameters.verbosity = False, False, -1
    parameters.cpuparams.n_threads = 1
    return xllamacpp.Server(parameters)


class _Between(BaseHTTPRequestHandler):
    """Between the runner and a good server."""

    zoo = ""
    answered = 0

    def do_GET(self) -> None:
        self._send(urllib.request.urlopen(f"http://127.0.0.1:{INNER}{self.path}", timeout=60).read())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.zoo == "flood":
            self._flood()
            return
        request = urllib.request.Request(f"http://127.0.0.1:{INNER}{self.path}", body, {"content-type": "application/json"})
        answer = urllib.request.urlopen(request, timeout=60).read()
        _Between.answered += 1
        if self.zoo == "crashes" and _Between.answered > CRASH_AFTER:
            os._exit(CRASH_CODE)
        self._send(_lie(answer) if self.zoo == "lies" else answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _flood(self) -> None:
        """An answer of ten gigabytes."""
        self.send_response(200)
        self.send_header("content-length", str(10 * 1024**3))
        self.end_headers()
        for _ in range(10 * 1024):
            self.wfile.write(b" " * FLOOD)


def _lie(answer: bytes) -> bytes:
    """Log-probabilities that are made up anew each time."""
    document = json.loads(answer)
    for entry in document["choices"][0]["logprobs"]["content"]:
        for item in entry["top_logprobs"]:
            item["logprob"] -= random.random()  # noqa: S311 - noise
    return json.dumps(document).encode()


def _exhaust() -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * 64 * 1024 * 1024))
        time.sleep(0.01)


def _print() -> None:
    line = "x" * 1023 + "\n"
    for _ in range(PRINTED // len(line)):
        sys.stdout.write(line)


if __name__ == "__main__":
    main(sys.argv[1:])
