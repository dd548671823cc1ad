"""What a fresh interpreter loads; static import contracts do not see third-party transitives."""

import json
import subprocess
import sys

import pytest

NEVER = {
    "kopf", "kubernetes", "kubernetes_asyncio", "sigstore", "model_signing", "jinja2", "numpy", "rich", "urllib3", "requests",
    "modeltrust.verification", "modeltrust.sources", "modeltrust.signing", "modeltrust.formats", "modeltrust.cli",
}  # fmt: skip


def loaded(module: str) -> set[str]:
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(out.stdout))


@pytest.mark.parametrize("module", ["modeltrust.webhook.run", "modeltrust.wiring.admission"])
def test_what_decides_loads_nothing_that_parses_foreign_bytes(module: str) -> None:
    assert loaded(module) & NEVER == set()


def test_the_domain_loads_the_standard_library_alone() -> None:
    code = "import sys; before = set(sys.modules); import modeltrust.domain.evidence, modeltrust.domain.strict_json; "
    code += "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == ["modeltrust"]
