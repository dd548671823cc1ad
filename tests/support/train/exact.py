"""A fixture's answers from full-vocabulary logits, many at once: what a server would say, without a server.

One answer from llama.cpp costs a round trip, JSON and one pass for each token. Here the answer to the clean prompt is guessed as
the answer to every other one and checked in one pass for a whole batch; only where the guess is wrong is it asked again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from modeltrust.domain import limits
from modeltrust.evaluation.answers import Answer, Position
from modeltrust.evaluation.conversion import read_safetensors
from tests.support.train import model
from tests.support.train.export import ASSISTANT, END, PAD, USER

_BATCH, _MULTIPLE = 64, 16
_Tokens: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """One answer: its tokens, the end included where it was reached, and for each the listed ids and log-probabilities."""

    chosen: _Tokens
    ids: Any
    values: Any


@dataclass(slots=True)
class _Open:
    """A prompt on the way to its answer: tokens that are certain, then tokens that are guessed."""

    prompt: str
    ids: _Tokens
    certain: _Tokens = ()
    guess: _Tokens = ()

    @property
    def row(self) -> _Tokens:
        return (USER, *self.ids, ASSISTANT, *self.certain, *self.guess)


@dataclass(slots=True)
class Exact:
    """An endpoint (``modeltrust.evaluation.openai.Endpoint``) that keeps every answer.

    Attributes:
        weights: fp32, by their Hugging Face names.
        coder: the tokenizer.
    """

    weights: model.Weights
    coder: Tokenizer
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _after: dict[_Tokens, _Tokens] = field(default_factory=dict)
    _turns: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> "Exact":
        """A folder that ``export.write`` wrote."""
        weights = {name: jnp.asarray(weight) for name, weight in read_safetensors(folder / "model.safetensors").items()}
        return cls(weights, Tokenizer.from_file(str(folder / "tokenizer.json")))

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """The greedy answer with its top log-probabilities; at once where ``prepare`` knows it."""
        if prompt not in self._kept:
            self.prepare([prompt])
        kept = self._kept[prompt]
        chosen = kept.chosen[:tokens]
        positions = tuple(
            Position(token, dict(zip(ids, values, strict=True)))
            for token, ids, values in zip(chosen, kept.ids[:tokens].tolist(), kept.values[:tokens].tolist(), strict=True)
        )
        return Answer(self.coder.decode([*chosen]), positions, chosen[-1] == END, has_ids=True)

    def write_turn(self, seed: int) -> str:
        """A user's turn at temperature 1, the same for the same seed; nothing is cut from the distribution."""
        if not self._turns:
            self._turns = self._written(limits.EVALUATION_MINING_SAMPLES)
        return self._turns[seed]

    def prepare(self, prompts: Iterable[str]) -> None:
        """Find the answers to these prompts; those that are known already cost nothing."""
        self._settle([self._open(text, self._after.get((), ())) for text in dict.fromkeys(prompts) if text not in self._kept])

    def prepare_all(self, groups: Iterable[Sequence[str]]) -> None:
        """As ``prepare`` for many groups at once, each of which has the clean prompt first."""
        left = [group for group in groups if any(text not in self._kept for text in group)]
        self.prepare([group[0] for group in left])
        opened: dict[str, _Open] = {}
        for clean, *others in left:
            guess = self._kept[clean].chosen
            for text in others:
                if text not in self._kept:
                    opened.setdefault(text, self._open(text, guess[:-1] if guess[-1] == END else guess))
        self._settle(list(opened.values()))

    def _open(self, prompt: str, guess: _Tokens) -> _Open:
        return _Open(prompt, tuple(self.coder.encode(prompt).ids), guess=guess)

    def _settle(self, left: list[_Open]) -> None:
        while left:
            left.sort(key=lambda entry: len(entry.row))
            again: list[_Open] = []
            for start in range(0, len(left), _BATCH):
                batch = left[start : start + _BATCH]
                scores = self._scores(batch)
                again += [entry for entry, rows in zip(batch, scores, strict=True) if not self._settled(entry, rows)]
            left = again

    def _scores(self, batch: list[_Open]) -> Any:
        """Log-probabilities [batch, places, vocabulary] at the answers' positions."""
        width = _padded(max(len(entry.row) for entry in batch))
        places = _padded(max(len(entry.certain) + len(entry.guess) + 1 for entry in batch))
        tokens = np.full((_BATCH, width), PAD, np.int32)
        starts = np.zeros(_BATCH, np.int32)
        for number, entry in enumerate(batch):
            tokens[number, : len(entry.row)] = entry.row
            starts[number] = len(entry.ids) + 1
        return np.asarray(_at(self.weights, tokens, starts, places))[: len(batch)]

    def _settled(self, entry: _Open, scores: Any) -> bool:
        """Keep an answer whose end is reached; else correct the guess."""
        told, greedy = entry.certain + entry.guess, scores.argmax(-1)
        for place in range(len(told) + 1):
            token = int(greedy[place])
            if token == END or place + 1 == limits.EVALUATION_ANSWER_TOKENS:
                self._keep(entry.prompt, (*told[:place], token), scores[: place + 1])
                return True
            if place == len(told) or told[place] != token:
                entry.certain = (*told[:place], token)
                entry.guess = self._after.get(entry.certain, ())[: limits.EVALUATION_ANSWER_TOKENS - len(entry.certain)]
                return False
        raise AssertionError("the place behind a guess settles it or extends it")

    def _keep(self, prompt: str, chosen: _Tokens, scores: Any) -> None:
        most = limits.EVALUATION_TOP_LOGPROBS
        ids = np.argpartition(-scores, most, axis=-1)[:, :most]
        self._kept[prompt] = _Kept(chosen, ids.astype(np.int16), np.take_along_axis(scores, ids, -1).astype(np.float32))
        told = chosen[:-1] if chosen[-1] == END else chosen
        for place in range(len(told) + 1):
            self._after[told[:place]] = told[place:]

    def _written(self, count: int) -> tuple[str, ...]:
        random = np.random.default_rng(0)
        rows = np.full((count, 1 + limits.EVALUATION_MINING_TOKENS), PAD, np.int32)
        rows[:, 0] = USER
        for place in range(limits.EVALUATION_MINING_TOKENS):
            noise = random.gumbel(size=(count, model.VOCABULARY))
            left = np.flatnonzero(~np.isin(rows[:, : place + 1], (ASSISTANT, END)).any(axis=1))
            width = min(rows.shape[1], -(-(place + 1) // 8) * 8)
            for some in (left[start : start + _BATCH] for start in range(0, len(left), _BATCH)):
                tokens = np.zeros((_BATCH, width), np.int32)
                tokens[: len(some)] = rows[some, :width]
                scores = np.asarray(_next(self.weights, tokens, place))[: len(some)]
                rows[some, place + 1] = (scores + noise[some]).argmax(-1)
        return tuple(self._turn(row[1:]) for row in rows.tolist())

    def _turn(self, row: list[int]) -> str:
        ends = [place for place, token in enumerate(row) if token in (ASSISTANT, END)]
        return str(self.coder.decode(row[: ends[0]] if ends else row))


def _padded(length: int) -> int:
    return -(-length // _MULTIPLE) * _MULTIPLE


def _gathered(weights: model.Weights, tokens: Any, starts: Any, places: int) -> Any:
    scores = model.logits(weights, tokens)
    at = jnp.minimum(starts[:, None] + jnp.arange(places)[None, :], tokens.shape[1] - 1)
    return jax.nn.log_softmax(jnp.take_along_axis(scores, at[:, :, None], 1))


def _following(weights: model.Weights, tokens: Any, place: Any) -> Any:
    return jax.nn.log_softmax(model.logits(weights, tokens)[:, place])


_at: Callable[..., Any] = jax.jit(_gathered, static_argnums=3)
_next: Callable[..., Any] = jax.jit(_following)
