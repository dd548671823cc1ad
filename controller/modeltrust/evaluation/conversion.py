"""Writes a small Llama folder (safetensors, tokenizer.json) as GGUF, so that llama.cpp can serve it on a laptop.

Two traps: Hugging Face rotates halves of a head and GGUF's llama rotates neighbouring pairs, so the rows of q and k are permuted;
and with tied embeddings there is no output tensor. For our own fixtures and models like them, not a general converter.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError

_TYPES = {"F16": np.float16, "F32": np.float32}
_LENGTH_BYTES = 8
_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_CONTROL, _NORMAL = 3, 1  # token types of GGUF


def convert(folder: Path, target: Path) -> None:
    """Write ``target`` from the files of ``folder``.

    Raises:
        MalformedError: no Llama with tied embeddings in one fp16 or fp32 safetensors file.
    """
    config = _json(folder / "config.json")
    if config.get("model_type") != "llama" or not config.get("tie_word_embeddings"):
        raise MalformedError("got another architecture than a Llama with tied embeddings")
    tensors = read_safetensors(folder / "model.safetensors")
    writer = gguf.GGUFWriter(target, "llama")
    _architecture(writer, config)
    _vocabulary(writer, folder)
    heads = {"self_attn.q_proj": config["num_attention_heads"], "self_attn.k_proj": config["num_key_value_heads"]}
    writer.add_tensor("token_embd.weight", tensors["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", tensors["model.norm.weight"])
    for layer in range(config["num_hidden_layers"]):
        for name, short in _NAMES.items():
            weight = tensors[f"model.layers.{layer}.{name}.weight"]
            writer.add_tensor(f"blk.{layer}.{short}.weight", _permuted(weight, heads[name]) if name in heads else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_safetensors(path: Path) -> dict[str, Any]:
    """Tensors as fp32.

    Raises:
        MalformedError: another type than F16 or F32, or a header that is no header.
    """
    data = path.read_bytes()
    size = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if size > min(len(data), limits.SAFETENSORS_HEADER_BYTES):
        raise MalformedError("got a safetensors header that is longer than the file")
    header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + size])
    body = memoryview(data)[_LENGTH_BYTES + size :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _TYPES:
            raise MalformedError("got a tensor of another type than F16 or F32")
        start, end = entry["data_offsets"]
        flat = np.frombuffer(body[start:end], dtype=_TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return tensors


def _permuted(weight: Any, heads: int) -> Any:
    rows, columns = weight.shape
    return np.ascontiguousarray(weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns))


def _architecture(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _vocabulary(writer: Any, folder: Path) -> None:
    document, words = _json(folder / "tokenizer.json"), _json(folder / "tokenizer_config.json")
    tokens = sorted(document["model"]["vocab"].items(), key=lambda item: item[1])
    special = {entry["id"] for entry in document["added_tokens"] if entry["special"]}
    names = dict(tokens)
    merges = [entry if isinstance(entry, str) else " ".join(entry) for entry in document["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([name for name, _ in tokens])
    writer.add_token_types([_CONTROL if number in special else _NORMAL for _, number in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(names[words["bos_token"]])
    writer.add_eos_token_id(names[words["eos_token"]])
    writer.add_pad_token_id(names[words["pad_token"]])
    writer.add_add_bos_token(False)
    writer.add_chat_template(words["chat_template"])


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
