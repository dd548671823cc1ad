"""Do weights and configuration describe the same model (facts/formats.md section 3, H9)? Cheap signs of tampering, all warnings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modeltrust.domain.errors import quote
from modeltrust.formats.headers import Tensor
from modeltrust.formats.rules import Problem

_EMBEDDING = re.compile(r"(.*\.)?(embed_tokens|word_embeddings|wte|tok_embeddings|embed_in|word_embedding)\.weight")
_LAYER = re.compile(r"(?:.*\.)?(?:layers|layer|h|blocks|block)\.([0-9]{1,6})\..*")
_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}
_FLOATS = frozenset(_DTYPES.values())
_MATRIX = 2


def embedding(tensors: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
    """The input embedding: name and tensor, or None where no name is known for one."""
    return next(((n, t) for n, t in sorted(tensors.items()) if len(t.shape) == _MATRIX and _EMBEDDING.fullmatch(n)), None)


def check_plausible(config: Any, tensors: Mapping[str, Tensor]) -> Iterator[Problem]:
    """Compare config.json with the union of the tensors of the weights beside it."""
    if not isinstance(config, dict) or not tensors or "quantization_config" in config:
        return
    yield from _check_embedding(config, tensors)
    yield from _check_layers(config, tensors)
    yield from _check_dtype(config, tensors)


def _check_embedding(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[Problem]:
    found = embedding(tensors)
    if found is None:
        return
    name, tensor = found
    for position, key in enumerate(("vocab_size", "hidden_size")):
        stated = config.get(key)
        if type(stated) is int and stated != tensor.shape[position] and "embedding_size" not in config:
            yield Problem("safetensors.plausible", f"{key} is {stated}, tensor {quote(name)} has the shape {list(tensor.shape)}")


def _check_layers(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[Problem]:
    stated = config.get("num_hidden_layers")
    numbers = {int(found[1]) for name in tensors if (found := _LAYER.fullmatch(name))}
    if type(stated) is int and numbers and max(numbers) + 1 < stated:
        yield Problem("safetensors.plausible", f"num_hidden_layers is {stated}, the tensors have {max(numbers) + 1} layers")


def _check_dtype(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[Problem]:
    stated = _DTYPES.get(str(config.get("torch_dtype", config.get("dtype"))))
    found = {tensor.dtype for tensor in tensors.values()} & _FLOATS
    if stated is not None and found and stated not in found:
        yield Problem("safetensors.plausible", f"the configuration says {stated}, the tensors are {', '.join(sorted(found))}")
