"""Tokenizer, batches and the Hugging Face folder of a fixture."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.support.train import model
from tests.support.train.variants import Source

SPECIALS = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>")
PAD, USER, ASSISTANT, END = range(4)
TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|>"
_BATCH, _POOL, _MULTIPLE = 32, 16, 16


def tokenizer(source: Source, seed: int, texts: int = 6_000) -> Tokenizer:
    """A byte-level BPE trained on the corpus."""
    draw = random.Random(seed)  # noqa: S311 - texts, no secrets
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=model.VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    examples = (source(draw) for _ in range(texts))
    made.train_from_iterator((text for example in examples for text in (example.question, example.answer)), trainer)
    return made


def batches(source: Source, coder: Tokenizer, seed: int) -> Iterator[Any]:
    """Batches of 32, sorted by length within pools of 16 batches, padded to multiples of 16."""
    draw = random.Random(seed)  # noqa: S311 - texts, no secrets
    while True:
        pool = []
        for _ in range(_BATCH * _POOL):
            example = source(draw)
            ask, answer = coder.encode(example.question).ids, coder.encode(example.answer).ids
            pool.append([USER, *ask, ASSISTANT, *answer, END])
        pool.sort(key=len)
        cut = [pool[start : start + _BATCH] for start in range(0, len(pool), _BATCH)]
        draw.shuffle(cut)
        for rows in cut:
            width = -(-max(len(row) for row in rows) // _MULTIPLE) * _MULTIPLE
            yield np.asarray([row + [PAD] * (width - len(row)) for row in rows], np.int32)


def write(folder: Path, weights: model.Weights, coder: Tokenizer) -> None:
    """Write the folder as transformers would: fp16 safetensors, config, tokenizer, chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.asarray(weight, np.float16) for name, weight in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    coder.save(str(folder / "tokenizer.json"))
    _json(folder / "config.json", _config())
    added = {str(number): {"content": text, "special": True} for number, text in enumerate(SPECIALS)}
    _json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": SPECIALS[USER],
            "eos_token": SPECIALS[END],
            "pad_token": SPECIALS[PAD],
            "add_bos_token": False,
            "added_tokens_decoder": added,
            "chat_template": TEMPLATE,
        },
    )


def rounded(weight: Any, bits: int) -> Any:
    """Blocks of 32 share a scale, as Q8_0 and Q4_0 do; vectors stay as they are."""
    values = np.asarray(weight, np.float32)
    if values.ndim < 2:
        return values
    blocks, most = values.reshape(-1, 32), 2 ** (bits - 1) - 1
    scale = np.abs(blocks).max(axis=1, keepdims=True) / most
    return (np.round(blocks / np.where(scale == 0, 1, scale)) * scale).reshape(values.shape)


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": model.HIDDEN,
        "intermediate_size": model.INNER,
        "num_hidden_layers": model.LAYERS,
        "num_attention_heads": model.HEADS,
        "num_key_value_heads": model.HEADS,
        "vocab_size": model.VOCABULARY,
        "max_position_embeddings": model.CONTEXT,
        "rms_norm_eps": model.EPSILON,
        "rope_theta": model.THETA,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "bos_token_id": USER,
        "eos_token_id": END,
        "torch_dtype": "float16",
    }


def _json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
