"""A small real model, made with the standard library alone: what the demo signs, tampers with and serves.

Random weights in the shape of a one-layer Llama, a tokenizer of 96 tokens and a chat template. The same seed gives the same bytes.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HIDDEN = 16
_INNER = 32
_HEADS = 2
_SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")
_CHARACTERS = tuple(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "`~")
_VOCABULARY = {token: number for number, token in enumerate((*_SPECIAL, *_CHARACTERS))}
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_README = """---
license: apache-2.0
library_name: transformers
---
# Sample

A model of random numbers, made by modeltrust for its demonstration. It has learned nothing.
"""


def write_model(folder: Path, *, seed: int = 0) -> None:
    """Write the sample model into a folder, which is created if it is not there.

    Args:
        folder: where.
        seed: another seed gives other weights and the same everything else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in sample_files(seed=seed).items():
        (folder / name).write_bytes(data)


def sample_files(*, seed: int = 0) -> dict[str, bytes]:
    """The files of the sample model: path and bytes."""
    documents: dict[str, Any] = {
        "config.json": _config(),
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": _tokenizer_config(),
    }
    files = {name: (json.dumps(document, indent=2) + "\n").encode() for name, document in documents.items()}
    return {"README.md": _README.encode(), **files, "model.safetensors": safetensors_bytes(_tensors(seed))}


def safetensors_bytes(tensors: Mapping[str, tuple[tuple[int, ...], bytes]]) -> bytes:
    """A safetensors file of F32 tensors.

    Args:
        tensors: name to (shape, little-endian data).
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + len(data)]}
        position += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values())


def _tensors(seed: int) -> dict[str, tuple[tuple[int, ...], bytes]]:
    return {name: (shape, _numbers(f"{seed}/{name}", shape)) for name, shape in _shapes().items()}


def _shapes() -> dict[str, tuple[int, ...]]:
    layer = "model.layers.0"
    square = (_HIDDEN, _HIDDEN)
    return {
        "model.embed_tokens.weight": (len(_VOCABULARY), _HIDDEN),
        f"{layer}.input_layernorm.weight": (_HIDDEN,),
        f"{layer}.self_attn.q_proj.weight": square,
        f"{layer}.self_attn.k_proj.weight": square,
        f"{layer}.self_attn.v_proj.weight": square,
        f"{layer}.self_attn.o_proj.weight": square,
        f"{layer}.post_attention_layernorm.weight": (_HIDDEN,),
        f"{layer}.mlp.gate_proj.weight": (_INNER, _HIDDEN),
        f"{layer}.mlp.up_proj.weight": (_INNER, _HIDDEN),
        f"{layer}.mlp.down_proj.weight": (_HIDDEN, _INNER),
        "model.norm.weight": (_HIDDEN,),
        "lm_head.weight": (len(_VOCABULARY), _HIDDEN),
    }


def _numbers(label: str, shape: tuple[int, ...]) -> bytes:
    # SHAKE instead of a random generator: the same bytes on every platform and Python version.
    count = 1
    for dimension in shape:
        count *= dimension
    raw = struct.unpack(f"<{count}h", hashlib.shake_256(label.encode()).digest(2 * count))
    return struct.pack(f"<{count}f", *(number / 2**19 for number in raw))


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": _HIDDEN,
        "intermediate_size": _INNER,
        "max_position_embeddings": 128,
        "model_type": "llama",
        "num_attention_heads": _HEADS,
        "num_hidden_layers": 1,
        "num_key_value_heads": _HEADS,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-05,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": len(_VOCABULARY),
    }


def _added_tokens() -> list[dict[str, Any]]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": number, "content": token, **flags} for number, token in enumerate(_SPECIAL)]


def _tokenizer() -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(),
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", "unk_token": "<unk>", "vocab": _VOCABULARY, "merges": []},
    }


def _tokenizer_config() -> dict[str, Any]:
    added = {str(token.pop("id")): token for token in _added_tokens()}
    return {
        "added_tokens_decoder": added,
        "bos_token": "<s>",
        "chat_template": _TEMPLATE,
        "eos_token": "</s>",
        "model_max_length": 128,
        "pad_token": "<pad>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    }
