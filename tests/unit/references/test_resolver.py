"""The resolver is part of the identity (attack C1)."""

from typing import Any

import pytest

from tests.support.workloads import COMMIT, container, env, extract, found, pod, reasons, run, shell

SERVE = ("vllm", "serve", "a/b", "--revision", COMMIT)
SOURCE = [{"configMapRef": {"name": "settings"}}]


def _from_secret(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]


def test_a_literal_endpoint_is_another_identity() -> None:
    workload = run(*SERVE, env=env(HF_ENDPOINT="https://hub.acme.example/"))
    assert found(workload) == [f"base hf+https://hub.acme.example/a/b@{COMMIT}"]
    assert not workload.unresolved


@pytest.mark.parametrize("value", ["https://huggingface.co", "https://huggingface.co/", ""])
def test_the_default_endpoint_is_no_other_identity(value: str) -> None:
    assert found(run(*SERVE, env=env(HF_ENDPOINT=value))) == [f"base hf://a/b@{COMMIT}"]


@pytest.mark.parametrize("value", ["http://evil.example", "https://evil.example/path", "https://Evil.example", "evil", "$(OTHER)"])
def test_an_endpoint_that_is_no_plain_host_is_undeclared(value: str) -> None:
    assert reasons(run(*SERVE, env=env(HF_ENDPOINT=value))) == ["UndeclaredResolver"]


def test_an_endpoint_from_a_secret_is_undeclared() -> None:
    assert reasons(run(*SERVE, env=_from_secret("HF_ENDPOINT"))) == ["UndeclaredResolver"]


def test_a_token_decides_no_address() -> None:
    assert not reasons(run(*SERVE, env=_from_secret("HF_TOKEN")))


def test_env_from_may_set_the_endpoint() -> None:
    workload = run(*SERVE, envFrom=SOURCE)
    assert reasons(workload) == ["UndeclaredResolver"]
    assert "HF_ENDPOINT: https://huggingface.co" in workload.unresolved[0].fix


def test_an_explicit_endpoint_wins_over_env_from() -> None:
    workload = run(*SERVE, envFrom=SOURCE, env=env(HF_ENDPOINT="https://huggingface.co"))
    assert not reasons(workload)


@pytest.mark.parametrize(("prefix", "expected"), [("HF_", ["UndeclaredResolver"]), ("DB_", []), ("", ["UndeclaredResolver"])])
def test_a_prefix_that_cannot_make_the_name_is_harmless(prefix: str, expected: list[str]) -> None:
    assert reasons(run(*SERVE, envFrom=[{"prefix": prefix, "secretRef": {"name": "s"}}])) == expected


@pytest.mark.parametrize(
    "name",
    [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "VLLM_MODEL_REDIRECT_PATH",
    ],
)
def test_proxies_certificates_and_redirects_are_undeclared(name: str) -> None:
    assert reasons(run(*SERVE, env=env(**{name: "x"}))) == ["UndeclaredResolver"]
    assert not reasons(run(*SERVE, env=env(**{name: ""})))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("VLLM_USE_MODELSCOPE", "True", "base ms://a/b"),
        ("SGLANG_USE_MODELSCOPE", "1", "base ms://a/b"),
        ("LMDEPLOY_USE_OPENMIND_HUB", "yes", "base openmind://a/b"),
        ("VLLM_USE_MODELSCOPE", "False", "base hf://a/b"),
    ],
)
def test_a_switch_chooses_another_hub(name: str, value: str, expected: str) -> None:
    assert found(run("vllm", "serve", "a/b", env=env(**{name: value}))) == [expected]


def test_a_commit_of_another_hub_is_no_commit() -> None:
    workload = run(*SERVE, env=env(VLLM_USE_MODELSCOPE="True"))
    assert not workload.references[0].revision.immutable


@pytest.mark.parametrize(
    "script",
    [
        f"export HF_ENDPOINT=https://evil.example; hf download a/b --revision {COMMIT}",
        f"HF_ENDPOINT=https://evil.example hf download a/b --revision {COMMIT}",
        f"env HF_ENDPOINT=https://evil.example hf download a/b --revision {COMMIT}",
        f"E=https://evil.example\nHF_ENDPOINT=$E\nhf download a/b --revision {COMMIT}",
    ],
)
def test_a_script_sets_the_endpoint(script: str) -> None:
    assert found(shell(script)) == [f"base hf+https://evil.example/a/b@{COMMIT}"]


def test_python_states_an_endpoint() -> None:
    code = f"snapshot_download('a/b', revision='{COMMIT}', endpoint='https://evil.example')"
    assert found(run("python", "-c", code)) == [f"base hf+https://evil.example/a/b@{COMMIT}"]


def test_an_option_states_an_endpoint() -> None:
    workload = shell("aws --endpoint-url https://minio.example s3 cp s3://bucket/model /data")
    assert found(workload) == ["base s3+https://minio.example/bucket/model"]


def test_s3_endpoints_are_identities() -> None:
    workload = run("tritonserver", "--model-repository=s3://bucket/m", env=env(AWS_ENDPOINT_URL="https://minio.example:9000"))
    assert found(workload) == ["repository s3+https://minio.example:9000/bucket/m"]


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("hf", {"HF_ENDPOINT": "https://evil.example", "MODEL_ENDPOINT": "https://hub.acme.example"}),
        ("hf", {"HF_ENDPOINT": "https://hub.acme.example", "MODEL_ENDPOINT": "https://evil.example"}),
        ("hf", {"HF_ENDPOINT": "https://hub.acme.example", "MODEL_ENDPOINT": "https://huggingface.co"}),
        ("hf", {"HF_ENDPOINT": "https://huggingface.co", "MODEL_ENDPOINT": "https://hub.acme.example"}),
        ("s3", {"AWS_ENDPOINT_URL": "https://evil.example", "S3_ENDPOINT": "https://minio.example"}),
        ("s3", {"AWS_ENDPOINT_URL": "https://evil.example", "S3_ENDPOINT": "minio.example"}),
        ("s3", {"AWS_ENDPOINT_URL_S3": "https://evil.example", "S3_ENDPOINT_URL": "https://minio.example"}),
    ],
)
def test_c1_variables_that_name_two_servers_are_undeclared_whichever_a_program_reads(model: str, values: dict[str, str]) -> None:
    command = SERVE if model == "hf" else ("tritonserver", "--model-repository=s3://bucket/m")
    workload = run(*command, env=env(**values))
    assert reasons(workload) == ["UndeclaredResolver"]
    assert all(name in workload.unresolved[0].message for name in values)


def test_variables_that_name_the_same_server_are_one_identity() -> None:
    workload = run(*SERVE, env=env(HF_ENDPOINT="https://hub.acme.example", MODEL_ENDPOINT="https://hub.acme.example/"))
    assert found(workload) == [f"base hf+https://hub.acme.example/a/b@{COMMIT}"]
    assert not workload.unresolved


@pytest.mark.parametrize("secure", [{}, {"S3_USE_HTTPS": "1"}])
def test_an_s3_host_as_kserve_states_it_is_the_server_that_its_url_names(secure: dict[str, str]) -> None:
    values = {"S3_ENDPOINT": "minio.example:9000", "AWS_ENDPOINT_URL": "https://minio.example:9000", **secure}
    workload = run("tritonserver", "--model-repository=s3://bucket/m", env=env(**values))
    assert found(workload) == ["repository s3+https://minio.example:9000/bucket/m"]
    assert not workload.unresolved


@pytest.mark.parametrize("value", ["0", "false", "", "maybe"])
def test_an_s3_host_without_https_is_undeclared(value: str) -> None:
    values = {"S3_ENDPOINT": "minio.example:9000", "S3_USE_HTTPS": value}
    workload = run("tritonserver", "--model-repository=s3://bucket/m", env=env(**values))
    assert reasons(workload) == ["UndeclaredResolver"]


def test_an_s3_host_whose_scheme_cannot_be_known_is_undeclared() -> None:
    values = [*env(S3_ENDPOINT="minio.example:9000"), *_from_secret("S3_USE_HTTPS")]
    assert reasons(run("tritonserver", "--model-repository=s3://bucket/m", env=values)) == ["UndeclaredResolver"]


def test_a_hub_without_a_scheme_stays_undeclared() -> None:
    assert reasons(run(*SERVE, env=env(HF_ENDPOINT="hub.acme.example"))) == ["UndeclaredResolver"]


@pytest.mark.parametrize("spec", [{"hostAliases": [{"ip": "10.0.0.1"}]}, {"dnsConfig": {"nameservers": ["10.0.0.1"]}}])
def test_names_that_the_pod_resolves_itself_are_undeclared(spec: dict[str, Any]) -> None:
    assert reasons(extract(pod(container(command=list(SERVE)), **spec))) == ["UndeclaredResolver"]


def test_dns_options_alone_are_harmless() -> None:
    spec = {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}
    assert not reasons(extract(pod(container(command=list(SERVE)), **spec)))


@pytest.mark.parametrize("value", ["runai_streamer", "tensorizer", "modelexpress"])
def test_load_formats_that_fetch_elsewhere_are_undeclared(value: str) -> None:
    assert reasons(run(*SERVE, "--load-format", value)) == ["UndeclaredResolver"]


@pytest.mark.parametrize("value", ["auto", "safetensors"])
def test_load_formats_that_read_files_are_fine(value: str) -> None:
    assert not reasons(run(*SERVE, f"--load-format={value}"))


def test_an_image_digest_needs_no_resolver() -> None:
    digest = "sha256:" + "ab" * 32
    workload = run("ollama", "pull", f"phi@{digest}", env=env(HTTPS_PROXY="http://proxy"), envFrom=SOURCE)
    assert found(workload) == [f"base oci://registry.ollama.ai/library/phi@{digest}"]
    assert not workload.unresolved
