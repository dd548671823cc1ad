"""Python in arguments: constants are read, everything computed is a finding, nothing is run."""

import pytest

from tests.support.workloads import COMMIT, env, found, reasons, run


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f"hf_hub_download('a/b', 'x.gguf', revision='{COMMIT}')", [f"base hf://a/b@{COMMIT}"]),
        ("M = 'a/b'\nsnapshot_download(M)", ["base hf://a/b"]),
        ("import os\nsnapshot_download(os.environ['M'])", ["base hf://a/e"]),
        ("import os\nsnapshot_download(os.getenv('M'))", ["base hf://a/e"]),
        ("from os import environ\nsnapshot_download(environ.get('M', 'x/y'))", ["base hf://a/e"]),
        ("AutoTokenizer.from_pretrained('a/t')", ["tokenizer hf://a/t"]),
        ("AutoProcessor.from_pretrained('a/t')", ["tokenizer hf://a/t"]),
        ("PeftModel.from_pretrained('a/b', 'a/l')", ["adapter hf://a/b", "adapter hf://a/l"]),
        ("pipeline('text-generation', model='a/b', tokenizer='a/t')", ["base hf://a/b", "tokenizer hf://a/t"]),
        ("vllm.LLM(model='a/b')", ["base hf://a/b"]),
        ("SentenceTransformer('a/b')", ["base hf://a/b"]),
        ("snapshot_download('a/b', repo_type='dataset')", []),
        ("print('hello')", []),
        ("(lambda: 1)()", []),
    ],
)
def test_constants_are_read(code: str, expected: list[str]) -> None:
    assert found(run("python3", "-c", code, env=env(M="a/e"))) == expected


@pytest.mark.parametrize(
    "code",
    [
        "snapshot_download('a/' + 'b')",
        "snapshot_download(f'{x}')",
        "snapshot_download(x)",
        "M = 'a/b'\nM = 'a/c'\nsnapshot_download(M)",
        "snapshot_download(os.getenv(name))",
        "snapshot_download(**options)",
        "snapshot_download('a/b', revision=x)",
        "snapshot_download('a/b', revision=None or x)",
        "if",
        "(" * 3000,
    ],
)
def test_computed_arguments_and_broken_programs_are_findings(code: str) -> None:
    workload = run("python3", "-c", code)
    assert not workload.references
    assert "UnresolvedReference" in reasons(workload)


@pytest.mark.parametrize("value", ["True", "flag"])
def test_remote_code_is_a_finding_unless_clearly_off(value: str) -> None:
    assert "RemoteCode" in reasons(run("python3", "-c", f"AutoModel.from_pretrained('a/b', trust_remote_code={value})"))
    assert not reasons(run("python3", "-c", "AutoModel.from_pretrained('a/b', trust_remote_code=False)"))


def test_a_computed_endpoint_is_undeclared() -> None:
    assert reasons(run("python3", "-c", "snapshot_download('a/b', endpoint=x)")) == ["UndeclaredResolver"]
