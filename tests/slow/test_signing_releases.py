"""Released model-signing versions sign the tiny model again, each in an environment of its own.

Every bundle verifies, or is refused as legacy.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from modeltrust.domain.evidence import RejectedSignature, SignatureEvidence
from modeltrust.signing.verify import verify
from tests.assets.signing.generate import generate, methods
from tests.support import oms
from tests.support.sigstore_ca import NOW
from tests.unit.signing.test_releases import signers

pytestmark = pytest.mark.slow

# Releases up to 1.0.x leave sigstore open and break with 4.0, which dropped sigstore-protobuf-specs; sigstore 3 breaks with newer
# cryptography.
_OF_ITS_TIME = ("sigstore==3.6.7", "cryptography==46.0.7")
RELEASES: dict[str, tuple[str, ...]] = {
    "0.2.0": _OF_ITS_TIME,
    "0.3.1": _OF_ITS_TIME,
    "1.0.0": _OF_ITS_TIME,
    "1.0.1": _OF_ITS_TIME,
    "1.1.0": (),
    "1.1.1": (),
}


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_signs_and_we_verify(release: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    wanted = [f"model-signing=={release}", "pyopenssl", *RELEASES[release]]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
    out = tmp_path / "out"
    out.mkdir()
    generate({release: str(python)}, out)
    for method in methods(release):
        bundle = (out / f"{release}-{method}.json").read_bytes()
        answer = verify(bundle, oms.read(out / "model"), signers=signers(out), now=NOW, content=None)
        if release == "0.2.0":
            assert isinstance(answer, RejectedSignature)
            assert "legacy" in answer.message
        else:
            assert isinstance(answer, SignatureEvidence), answer
