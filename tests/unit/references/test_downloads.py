"""Commands and requests that fetch models."""

import pytest

from tests.support.workloads import COMMIT, found, reasons, run, shell


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"huggingface-cli download --local-dir /d a/b --revision {COMMIT}", [f"base hf://a/b@{COMMIT}"]),
        (f"hf download hf://a/b@{COMMIT}", [f"base hf://a/b@{COMMIT}"]),
        ("git clone --depth 1 https://huggingface.co/a/b /d", ["base hf://a/b"]),
        ("git clone https://github.com/a/b", []),
        ("git lfs clone https://hf.co/a/b", ["base hf://a/b"]),
        ("modelscope download --model a/b", ["base ms://a/b"]),
        ("aws s3 cp --recursive s3://bucket/m /d", ["base s3://bucket/m"]),
        ("s5cmd --no-sign-request cp s3://bucket/m /d", ["base s3://bucket/m"]),
        ("gsutil -m cp -r gs://bucket/m /d", ["base gs://bucket/m"]),
        ("gcloud storage cp -r gs://bucket/m /d", ["base gs://bucket/m"]),
        ("aws s3 cp /results s3://bucket/results", []),
        ("rclone copy remote:bucket/m /d", ["base rclone://remote/bucket/m"]),
        ("mc cp store/bucket/m /d", ["base minio://store/bucket/m"]),
        ("oras pull r.example/m:1", ["base oci://r.example/m@1"]),
        ("skopeo copy docker://r.example/m:1 dir:/d", ["base oci://r.example/m@1"]),
        ("wget -O /d/m.gguf https://x.example/m.gguf", ["base https://x.example/m.gguf"]),
        ("curl -L -o /d/m https://huggingface.co/a/b/resolve/main/m.gguf", ["base hf://a/b@main"]),
        ("curl -sf http://localhost/health", []),
        ("wget https://x.example/install.sh", []),
        ('curl -d \'{"from": "ai/m"}\' http://r/models/create', ["base oci://docker.io/ai/m@latest"]),
        ('curl http://localhost:11434/api/pull -d \'{"model": "phi"}\'', ["base oci://registry.ollama.ai/library/phi@latest"]),
        ("docker model pull ai/m", ["base oci://docker.io/ai/m@latest"]),
        ("downloader --source hf://a/b -o /d", ["base hf://a/b"]),
    ],
)
def test_fetching_commands(script: str, expected: list[str]) -> None:
    assert found(shell(script)) == expected


@pytest.mark.parametrize("body", ["$BODY", "[]", "{"])
def test_a_request_whose_body_cannot_be_read_is_a_finding(body: str) -> None:
    assert "UnresolvedReference" in reasons(run("curl", "-d", body, "http://r/models/create"))


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--lora-adapters", "x=a/l@r1,a/m", ["adapter hf://a/l@r1", "adapter hf://a/m"]),
        ("--model-id", "a/b", ["base hf://a/b"]),
    ],
)
def test_lists_of_named_adapters(option: str, value: str, expected: list[str]) -> None:
    assert [text for text in found(run("text-generation-launcher", option, value)) if "bloom" not in text] == expected


def test_scaled_adapters_and_empty_items() -> None:
    workload = run("llama-server", "-hf", "a/b", "--lora-scaled", "/x/a.gguf:0.5,,/x/b.gguf")
    assert [item.value for item in workload.unresolved] == ["/x/a.gguf", "/x/b.gguf"]


@pytest.mark.parametrize("value", ['[{"name": "x", "path": "a/l"}, {"path": "a/m"}]'])
def test_a_list_of_adapter_objects(value: str) -> None:
    assert "adapter hf://a/m" in found(run("vllm", "serve", "a/b", "--lora-modules", value))


@pytest.mark.parametrize(
    ("option", "value"), [("--lora-modules", "[1]"), ("--default-mm-loras", '{"a": 1}'), ("--lora-modules", '{"path": 1}')]
)
def test_adapters_of_another_form_are_findings(option: str, value: str) -> None:
    assert "UnresolvedReference" in reasons(run("vllm", "serve", "a/b", option, value))


def test_an_unknown_option_that_looks_like_a_model_is_a_finding() -> None:
    assert reasons(run("vllm", "serve", "a/b", "--new-draft-thing", "a/d")) == ["UnresolvedReference"]
