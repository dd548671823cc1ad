"""The hiding places of facts/workloads.md §9, by number."""

import pytest

from modeltrust.domain.reference import RevisionState
from tests.support.workloads import COMMIT, container, env, extract, found, pod, reasons, run, shell

GPU = {"limits": {"nvidia.com/gpu": "1"}}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["vllm", "serve", "a/b"], "base hf://a/b"),
        (["lmdeploy", "serve", "api_server", "a/b"], "base hf://a/b"),
        (["trtllm-serve", "a/b"], "base hf://a/b"),
        (["trtllm-serve", "serve", "a/b"], "base hf://a/b"),
        (["python3.11", "-u", "-m", "sglang.launch_server", "--model-path", "a/b"], "base hf://a/b"),
        (["text-generation-launcher", "--model-id=a/b"], "base hf://a/b"),
        (["text-embeddings-router", "--model-id", "a/b"], "base hf://a/b"),
        (["/app/llama-server", "-hf", "a/b:Q4_K_M"], "base hf://a/b"),
        (["llama-server", "--docker-repo", "smollm2"], "base oci://docker.io/library/smollm2@latest"),
        (["tritonserver", "--model-repository=s3://bucket/models"], "repository s3://bucket/models"),
        (["python3", "-m", "huggingfaceserver", "--model_id=a/b"], "base hf://a/b"),
        (["storage-initializer", "gs://bucket/m", "/mnt/models"], "base gs://bucket/m"),
        (["/ko-app/model_downloader", "-model", "a/b"], "base hf://a/b"),
        (["python", "train.py", "--model_name_or_path", "a/b"], "base hf://a/b"),
    ],
)
def test_1_2_every_engine_is_recognised(command: list[str], expected: str) -> None:
    assert expected in found(run(*command))


def test_2_a_split_module_is_joined() -> None:
    document = pod(container(command=["python3"], args=["-m", "dynamo.vllm", "--model", "a/b"]))
    assert found(extract(document)) == ["base hf://a/b"]


def test_3_dotted_options_build_a_value() -> None:
    workload = run("vllm", "serve", "a/b", "--speculative-config.model", "a/d", "--speculative-config.revision", COMMIT)
    assert found(workload) == [f"draft hf://a/d@{COMMIT}", "base hf://a/b"]


def test_4_the_last_of_repeated_options_wins_and_lists_accumulate() -> None:
    assert found(run("vllm", "serve", "--model", "a/x", "--model", "a/b")) == ["base hf://a/b"]
    both = run("tritonserver", "--model-store=gs://a/x", "--model-store=gs://a/y")
    assert found(both) == ["repository gs://a/x", "repository gs://a/y"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--lora-modules", "x=a/l"),
        ("--lora-modules", '{"name": "x", "path": "a/l"}'),
        ("--default-mm-loras", '{"image": "a/l"}'),
        ("--qlora-adapter-name-or-path", "a/l"),
    ],
)
def test_5_adapters_in_every_form(option: str, value: str) -> None:
    assert "adapter hf://a/l" in found(run("vllm", "serve", "a/b", option, value))


@pytest.mark.parametrize("value", ["{", '{"model": 1}', "[]", '"text"'])
def test_5_an_unreadable_value_is_a_finding(value: str) -> None:
    assert "UnresolvedReference" in reasons(run("vllm", "serve", "a/b", "--speculative-config", value))


def test_5_quotes_are_juggled() -> None:
    script = """vllm serve a/b --speculative-config '{"model": "'"$DRAFT"'"}'"""
    assert "draft hf://a/d" in found(shell(script, env=env(DRAFT="a/d")))


def test_6_here_documents_are_programs() -> None:
    assert found(shell("cat > /f <<EOF\nvllm serve a/x\nEOF\nvllm serve a/b")) == ["base hf://a/b"]
    assert found(shell("bash <<'EOF'\nvllm serve a/b\nEOF\n")) == ["base hf://a/b"]
    assert found(shell("python3 - <<EOF\nsnapshot_download('a/b')\nEOF")) == ["base hf://a/b"]


@pytest.mark.parametrize("script", ["vllm serve ${X,,}", "vllm serve $(echo a/b)", "vllm serve `cat /x`", "vllm serve $UNKNOWN/x"])
def test_7_computed_values_are_findings(script: str) -> None:
    workload = shell(script)
    assert not workload.references
    assert reasons(workload) == ["UnresolvedReference"]


def test_7_a_computed_program_is_a_finding_where_it_matters() -> None:
    assert reasons(shell("base64 -d /x | sh", resources=GPU)) == ["UnresolvedReference"]


@pytest.mark.parametrize("script", ["./install_model.sh", "bash /scripts/download.sh", "/opt/fetch_weights.py"])
def test_8_unseen_scripts_are_findings(script: str) -> None:
    assert reasons(shell(script)) == ["UnresolvedReference"]


def test_8_python_in_arguments_is_read() -> None:
    code = f"from huggingface_hub import snapshot_download as s\nimport os\nsnapshot_download(repo_id='a/b', revision='{COMMIT}')"
    assert found(run("python3", "-c", code)) == [f"base hf://a/b@{COMMIT}"]


@pytest.mark.parametrize("text", ["{{workflow.parameters.x}}", "{{ .ModelPath }}", "${MODEL}", "<MODEL_ID>", "$(MODEL)"])
def test_9_placeholders_are_findings(text: str) -> None:
    workload = run("vllm", "serve", text)
    assert not workload.references
    assert workload.unresolved[0].value == text


def test_10_values_of_other_objects_are_findings() -> None:
    secret = [{"name": "MODEL", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    workload = run("vllm", "serve", "$(MODEL)", env=secret)
    assert [(item.reason, item.value) for item in workload.unresolved] == [("UnresolvedReference", "$(MODEL)")]
    source = run("text-generation-launcher", envFrom=[{"configMapRef": {"name": "c"}}])
    assert not source.references
    assert reasons(source) == ["UnresolvedReference"]


@pytest.mark.parametrize(
    "command",
    [
        ["vllm", "serve", "--config", "/c.yaml"],
        ["trtllm-serve", "a/b", "--extra_llm_api_options", "/c.yaml"],
        ["llama-server", "--models-preset", "/c.ini"],
        ["ollama", "create", "x", "-f", "Modelfile"],
        ["torchserve", "--model-store=gs://a/b", "--ts-config", "/c.properties"],
    ],
)
def test_11_files_with_further_references_are_findings(command: list[str]) -> None:
    assert "UnresolvedReference" in reasons(run(*command))


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (["vllm", "serve", "a/b"], {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}),
        (["vllm", "serve", "a/b"], {"VLLM_LORA_RESOLVER_CACHE_DIR": "/x"}),
        (["vllm", "serve", "a/b", "--enable-lora"], {}),
        (["tritonserver", "--model-repository=gs://a/b", "--model-control-mode=poll"], {}),
        (["tritonserver", "--model-repository=gs://a/b", "--model-control-mode", "explicit"], {}),
        (["ollama", "serve"], {}),
        (["curl", "-d", '{"lora_path": "a/l"}', "http://localhost/v1/load_lora_adapter"], {}),
    ],
)
def test_21_enablers_of_loading_at_run_time_are_findings(command: list[str], variables: dict[str, str]) -> None:
    assert "DynamicLoading" in reasons(run(*command, env=env(**variables)))


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (["vllm", "serve", "a/b", "--enable-lora", "--lora-modules", "x=a/l"], {}),
        (["tritonserver", "--model-repository=gs://a/b", "--model-control-mode=none"], {}),
        (["vllm", "serve", "a/b"], {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0"}),
    ],
)
def test_21_what_loads_nothing_later_is_none(command: list[str], variables: dict[str, str]) -> None:
    assert not reasons(run(*command, env=env(**variables)))


def test_30_a_served_name_is_no_model() -> None:
    assert found(run("vllm", "serve", "a/b", "--served-model-name", "google/gemma", "openai/gpt")) == ["base hf://a/b"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["vllm", "serve"], "base hf://Qwen/Qwen3-0.6B"),
        (["text-generation-launcher"], "base hf://bigscience/bloom-560m"),
        (["aibrix_download"], "base hf://deepseek-ai/deepseek-coder-6.7b-instruct"),
    ],
)
def test_31_a_default_model_is_a_reference_without_a_pin(command: list[str], expected: str) -> None:
    workload = run(*command)
    assert found(workload) == [expected]
    assert workload.references[0].revision.state is RevisionState.NONE


def test_31_a_default_counts_only_where_the_command_is_complete() -> None:
    runtime = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime", "metadata": {"name": "r"}}
    assert not extract(runtime | {"spec": {"containers": [container(image="vllm/vllm-openai:1")]}}).references


@pytest.mark.parametrize(
    "command",
    [
        ["vllm", "serve", "a/b", "--trust-remote-code"],
        ["vllm", "serve", "a/b", "--trust_remote_code"],
        ["text-generation-launcher", "--model-id", "a/b", "--trust-remote-code"],
        ["python", "-c", "AutoModel.from_pretrained('a/b', trust_remote_code=True)"],
    ],
)
def test_33_remote_code_is_a_finding(command: list[str]) -> None:
    assert reasons(run(*command)) == ["RemoteCode"]


def test_33_remote_code_hides_in_a_variable() -> None:
    words = env(VLLM_ADDITIONAL_ARGS="--trust-remote-code --lora-modules 'x=a/l'")
    workload = run("vllm", "serve", "a/b", env=words)
    assert reasons(workload) == ["RemoteCode"]
    assert "adapter hf://a/l" in found(workload)


def test_34_each_reference_has_its_own_revision() -> None:
    workload = run("vllm", "serve", "a/b", "--revision", COMMIT, "--tokenizer", "a/t", "--code-revision", COMMIT)
    assert found(workload) == [f"base hf://a/b@{COMMIT}", "tokenizer hf://a/t"] or found(workload)[::-1] == [
        f"base hf://a/b@{COMMIT}",
        "tokenizer hf://a/t",
    ]


def test_34_a_pinned_code_revision_leaves_the_weights_floating() -> None:
    assert found(run("python", "inference_api.py", "--model", "a/b", "--code-revision", COMMIT)) == ["base hf://a/b"]


@pytest.mark.parametrize(
    "text", ["https://user:pass@evil.example/m.gguf", "s3://anonymous@bucket/m", "hf://\uff21cme/x", "acme/../x"]
)
def test_35_tricks_with_the_format_are_findings(text: str) -> None:
    workload = run("vllm", "serve", text)
    assert not workload.references
    assert workload.unresolved


def test_36_one_scheme_means_different_things() -> None:
    uri = "oci://n/namespace/b/bucket/o/model"
    ome = {
        "apiVersion": "ome.io/v1beta1",
        "kind": "ClusterBaseModel",
        "metadata": {"name": "m"},
        "spec": {"storage": {"storageUri": uri}},
    }
    assert found(extract(ome)) == ["base ocios://n/namespace/b/bucket/o/model"]


def test_40_data_sets_are_no_models() -> None:
    assert not run("hf", "download", "--repo-type", "dataset", "a/b").references
    assert not run("python", "train.py", "--dataset", "a/b").references


@pytest.mark.parametrize(
    "command",
    [
        ["lm_eval", "--model", "local-chat-completions"],
        ["genai-perf", "profile", "-m", "a/b"],
        ["vllm", "bench", "serve", "--model", "a/b"],
        ["sglang-router", "--model-path", "a/b"],
        ["nginx", "-g", "daemon off;"],
        ["echo", "vllm serve a/b"],
        ["pip", "install", "vllm"],
        ["curl", "-sf", "http://localhost:8000/health"],
        ["/bin/prometheus", "--config.file=/etc/prometheus.yml", "--storage.tsdb.path=/prometheus"],
        ["/server", "--model=sedan"],
    ],
)
def test_clients_and_plain_programs_yield_nothing(command: list[str]) -> None:
    workload = run(*command)
    assert not workload.references
    assert not workload.unresolved
    assert not workload.inference


def test_a_renamed_image_hides_nothing() -> None:
    document = pod(
        container(
            image="registry.example/nginx", command=["python3", "-m", "vllm.entrypoints.openai.api_server"], args=["--model", "a/b"]
        )
    )
    assert found(extract(document)) == ["base hf://a/b"]


@pytest.mark.parametrize(
    ("image", "args", "expected"),
    [
        ("vllm/vllm-openai:v0.9", ["a/b"], "base hf://a/b"),
        ("vllm/vllm-openai:v0.9", ["--model=a/b"], "base hf://a/b"),
        ("ghcr.io/huggingface/text-generation-inference:3", ["--model-id", "a/b"], "base hf://a/b"),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda", ["-hf", "a/b"], "base hf://a/b"),
        ("kserve/storage-initializer:latest", ["hf://a/b", "/mnt/models"], "base hf://a/b"),
        ("kserve/huggingfaceserver:latest", ["--model_id=a/b"], "base hf://a/b"),
    ],
)
def test_an_image_without_command_runs_its_own_server(image: str, args: list[str], expected: str) -> None:
    assert found(extract(pod(container(image=image, args=args)))) == [expected]


@pytest.mark.parametrize(
    "name",
    ["nvidia.com/gpu", "amd.com/gpu", "google.com/tpu", "habana.ai/gaudi", "aws.amazon.com/neuroncore", "gpu.intel.com/i915"],
)
def test_an_accelerator_that_names_no_model_is_a_finding(name: str) -> None:
    workload = extract(pod(container(resources={"requests": {name: "1"}})))
    assert workload.accelerators
    assert workload.images[0].accelerator
    assert reasons(workload) == ["UnresolvedReference"]


def test_an_accelerator_by_claim_counts() -> None:
    assert extract(pod(container(resources={"claims": [{"name": "gpu"}]}))).accelerators


def test_no_accelerator_no_finding() -> None:
    workload = extract(pod(container(resources={"limits": {"nvidia.com/gpu": "0", "cpu": "1"}})))
    assert not workload.accelerators
    assert not workload.unresolved


@pytest.mark.parametrize("name", ["BASH_ENV", "ENV", "PS0", "PS1", "PS4"])
@pytest.mark.parametrize("value", ["$(vllm serve a/x)", "`vllm serve a/x`", "/x$(vllm serve a/x)"])
def test_a_variable_that_a_shell_expands_is_a_program(name: str, value: str) -> None:
    assert "base hf://a/x" in found(shell("vllm serve a/b", env=env(**{name: value})))
    assert "base hf://a/x" in found(shell(f"export {name}='{value}'; vllm serve a/b"))


def test_a_variable_that_a_shell_runs_is_a_program() -> None:
    assert "base hf://a/x" in found(shell("vllm serve a/b", env=env(PROMPT_COMMAND="vllm serve a/x")))
    function = [{"name": "BASH_FUNC_vllm%%", "value": "() { command vllm serve a/x; }"}]
    assert "base hf://a/x" in found(shell("vllm serve a/b", env=function))


def test_other_variables_are_text() -> None:
    assert found(shell("vllm serve a/b", env=env(ENV="production", BASH_ENV="/x.sh", A="$(vllm serve a/x)"))) == ["base hf://a/b"]
