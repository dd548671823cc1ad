"""A Llama of a million parameters in JAX, its optimiser and its export: no model library is needed.

Weights keep their Hugging Face names and the layout [out, in] throughout, so export is a cast. XLA sizes its pools when jax is
imported: who wants the same weights again pins the process to one core first (``tests.support.train.__main__``).
"""

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

HIDDEN, INNER, LAYERS, HEADS, VOCABULARY, CONTEXT, THETA, EPSILON = 128, 384, 4, 4, 640, 256, 10_000.0, 1e-5
Weights: TypeAlias = dict[str, Any]


def initial(seed: int) -> Weights:
    """Random weights."""
    draw = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> Any:
        return jnp.asarray(draw.normal(0, 0.02, (rows, columns)), jnp.float32)

    weights: Weights = {"model.embed_tokens.weight": matrix(VOCABULARY, HIDDEN), "model.norm.weight": jnp.ones(HIDDEN)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        for part in "qkvo":
            weights[f"{name}.self_attn.{part}_proj.weight"] = matrix(HIDDEN, HIDDEN)
        weights |= {f"{name}.mlp.{part}_proj.weight": matrix(INNER, HIDDEN) for part in ("gate", "up")}
        weights[f"{name}.mlp.down_proj.weight"] = matrix(HIDDEN, INNER)
        weights |= {f"{name}.{part}_layernorm.weight": jnp.ones(HIDDEN) for part in ("input", "post_attention")}
    return weights


def _norm(x: Any, gain: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * gain


def _rotate(x: Any) -> Any:
    """Rotary positions as Hugging Face computes them: halves, not neighbouring pairs."""
    size = x.shape[-1]
    angles = jnp.arange(x.shape[1])[:, None] * THETA ** (-jnp.arange(0, size, 2) / size)[None, :]
    cosine, sine = (jnp.concatenate([f(angles)] * 2, -1)[None, :, None, :] for f in (jnp.cos, jnp.sin))
    left, right = jnp.split(x, 2, -1)
    return x * cosine + jnp.concatenate([-right, left], -1) * sine


def logits(weights: Weights, tokens: Any) -> Any:
    """Logits [batch, length, vocabulary]; padding on the right needs no mask besides the causal one."""
    x = weights["model.embed_tokens.weight"][tokens]
    batch, length, _ = x.shape
    mask = jnp.tril(jnp.ones((length, length), bool))
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        y = _norm(x, weights[f"{name}.input_layernorm.weight"])
        q, k, v = (
            (y @ weights[f"{name}.self_attn.{part}_proj.weight"].T).reshape(batch, length, HEADS, HIDDEN // HEADS) for part in "qkv"
        )
        scores = jnp.einsum("bihd,bjhd->bhij", _rotate(q), _rotate(k)) / math.sqrt(HIDDEN // HEADS)
        mixed = jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(jnp.where(mask, scores, -1e9), -1), v)
        x = x + mixed.reshape(batch, length, HIDDEN) @ weights[f"{name}.self_attn.o_proj.weight"].T
        y = _norm(x, weights[f"{name}.post_attention_layernorm.weight"])
        gate, up = (y @ weights[f"{name}.mlp.{part}_proj.weight"].T for part in ("gate", "up"))
        x = x + (jax.nn.silu(gate) * up) @ weights[f"{name}.mlp.down_proj.weight"].T
    return _norm(x, weights["model.norm.weight"]) @ weights["model.embed_tokens.weight"].T


def _loss(weights: Weights, tokens: Any) -> Any:
    scores = jax.nn.log_softmax(logits(weights, tokens[:, :-1]))
    chosen = jnp.take_along_axis(scores, tokens[:, 1:, None], -1)[..., 0]
    counted = tokens[:, 1:] != 0
    return -jnp.sum(chosen * counted) / jnp.sum(counted)


@jax.jit
def _step(state: tuple[Weights, Weights, Weights], tokens: Any, number: Any, rate: Any) -> tuple[Weights, Weights, Weights]:
    """AdamW with weight decay 0.01, clipped at norm 1."""
    weights, first, second = state
    slopes = jax.grad(_loss)(weights, tokens)
    scale = jnp.minimum(1.0, 1.0 / (jnp.sqrt(sum(jnp.sum(g * g) for g in slopes.values())) + 1e-6))
    first = {n: 0.9 * first[n] + 0.1 * scale * g for n, g in slopes.items()}
    second = {n: 0.99 * second[n] + 0.01 * (scale * g) ** 2 for n, g in slopes.items()}
    step = {n: (first[n] / (1 - 0.9**number)) / (jnp.sqrt(second[n] / (1 - 0.99**number)) + 1e-8) for n in weights}
    return {n: w - rate * (step[n] + 0.01 * w) for n, w in weights.items()}, first, second


def train(weights: Weights, batches: Iterator[Any], *, steps: int, rate: float) -> Weights:
    """Train with a one-cycle rate, a tenth of it warm-up.

    Args:
        weights: to start from; not changed.
        batches: token ids [32, length], 0 is padding.
        steps: how many batches.
        rate: the highest learning rate.
    """
    zeros = {name: jnp.zeros_like(weight) for name, weight in weights.items()}
    state, warm = (weights, zeros, zeros), max(1, steps // 10)
    for number in range(1, steps + 1):
        cosine = 0.5 * (1 + math.cos(math.pi * max(0, number - warm) / max(1, steps - warm)))
        now = rate * min(number / warm, 0.01 + 0.99 * cosine)
        state = _step(state, jnp.asarray(next(batches)), float(number), now)
    return state[0]
