"""Which files a loader reads: the scope Loadable.

"A loader" is what transformers, diffusers, sentence-transformers, peft and vLLM do by default: they prefer safetensors under a name
that they know, and fall back to pickle and the rest where it is missing. Servers that are told another file by name (llama.cpp,
Triton, OpenVINO) are the reason for the scope Repository.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from modeltrust.formats.rules import FileClass

_EXPORT_FOLDERS = re.compile(r"(.*/)?(onnx|openvino|original|coreml|tflite|tensorrt|flax|metal|gguf|runs|checkpoint-[0-9]+)/.*")
_STEM = re.compile(r"(?P<stem>adapter_model|diffusion_pytorch_model|pytorch_model|tf_model|flax_model|model|rust_model)\b.*")
_PREFERRED = {"adapter_model": "adapter_model", "diffusion_pytorch_model": "diffusion_pytorch_model"}


def is_loadable(path: str, row: FileClass, classes: Mapping[str, FileClass]) -> bool:
    """Whether a loader would read a file, given everything that stands beside it.

    Args:
        path: the file.
        row: its class by name.
        classes: of all files, by path.
    """
    if not row.weights or row.weights == "Safetensors" or row.deny:
        return row.loadable
    folder, _, name = path.rpartition("/")
    found = _STEM.fullmatch(name)
    # A name that no loader looks for by itself is judged like the repository's main weights.
    preferred = _PREFERRED.get(found["stem"], "model") if found else "model"
    if has_safetensors(folder, preferred, classes.keys()):
        return False
    exported = _EXPORT_FOLDERS.fullmatch(path)
    return exported is None or not has_safetensors(exported[1] or "", "model", classes.keys())


def has_safetensors(folder: str, stem: str, paths: AbstractSet[str]) -> bool:
    """Whether a folder holds safetensors weights under a name that loaders look for: one file, or an index."""
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    return f"{prefix}{stem}.safetensors" in paths or f"{prefix}{stem}.safetensors.index.json" in paths
