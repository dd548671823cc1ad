"""Answers of known models, recorded from a real server: for the self-test, without any engine.

The bodies are kept as the server sent them, less what is never read, and go through the same parser as a live answer.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.evaluation.answers import Answer, parse_answer


@dataclass(frozen=True, slots=True)
class Recorded:
    """One model's recorded answers.

    Attributes:
        bodies: by sha256 hex of the prompt.
    """

    bodies: Mapping[str, bytes]

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """The recorded answer.

        Raises:
            UnavailableError: nothing was recorded for this prompt: bank and recording do not belong together.
        """
        body = self.bodies.get(prompt_key(prompt))
        if body is None:
            raise UnavailableError("no answer was recorded for a prompt of the self-test")
        return parse_answer(body, tokens=tokens)

    def write_turn(self, seed: int) -> str:
        """Nothing was recorded.

        Raises:
            UnavailableError: always.
        """
        raise UnavailableError(f"no turn was recorded for seed {seed}")


def prompt_key(prompt: str) -> str:
    """sha256 hex: how a prompt is looked up."""
    return hashlib.sha256(prompt.encode()).hexdigest()


def read_recording(data: bytes) -> dict[str, Recorded]:
    """Models by name.

    Args:
        data: gzip of JSON ``{"base": {"<key>": {completion}, …}, …}``.

    Raises:
        MalformedError: another form, or more than limits.EVALUATION_STORED_BYTES once unpacked.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(limits.EVALUATION_STORED_BYTES + 1)
        if len(text) > limits.EVALUATION_STORED_BYTES:
            raise LimitExceededError(f"got a recording of more than {limits.EVALUATION_STORED_BYTES} bytes")
        models = msgspec.json.decode(text, type=dict[str, dict[str, msgspec.Raw]])
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedError("got a recording in another form than ours") from error
    return {name: Recorded({key: bytes(body) for key, body in bodies.items()}) for name, bodies in models.items()}


def write_recording(models: Mapping[str, Mapping[str, bytes]]) -> bytes:
    """The reverse of ``read_recording``; what is never read is left out, log-probabilities keep four decimals.

    Args:
        models: by name: bodies by prompt key.
    """
    documents = {name: {key: _shortened(body) for key, body in bodies.items()} for name, bodies in models.items()}
    return gzip.compress(msgspec.json.encode(documents), mtime=0)


def _shortened(body: bytes) -> object:
    choice = msgspec.json.decode(body)["choices"][0]
    content = [
        _entry(item) | {"top_logprobs": [_entry(top) for top in item["top_logprobs"]]} for item in choice["logprobs"]["content"]
    ]
    message = {"content": choice["message"]["content"]}
    return {"choices": [{"message": message, "finish_reason": choice["finish_reason"], "logprobs": {"content": content}}]}


def _entry(item: dict[str, object]) -> dict[str, object]:
    value = item["logprob"]
    return {"token": "", "id": item["id"], "logprob": round(value, 4) if isinstance(value, float) else value}
