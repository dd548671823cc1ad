"""Makes the bundles of released model-signing versions that tests/unit/signing/test_releases.py verifies for ever, offline.

    python tests/assets/signing/generate.py RELEASE=PYTHON … --out DIR

Each PYTHON is the interpreter of a virtual environment with ``model-signing==RELEASE`` and ``pyopenssl``, which releases need
and do not declare (up to 1.0.x: also the sigstore release of its time). 0.3.1 cannot sign with a certificate: it misspells the
name of a field (``raw_byutes``) and ends in a TypeError, so there is no such bundle. Keys are made, used and thrown away; only the
public key and the root are kept. ``tests/slow/test_signing_releases.py`` makes the environments and runs this, so that the files
can always be made again.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.support import oms
from tests.support.certificates import authority, leaf
from tests.support.sigstore_ca import DAY, NOW

MODEL = {
    "config.json": b'{"model_type": "tiny"}\n',
    "model.safetensors": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
    "sub/vocab.txt": b"a\nb\n",
}

# Runs inside of the release's own interpreter; the API has been the same since 0.3.
_SIGN = """
import sys
from pathlib import Path
from model_signing import hashing, signing
model, out, key, certificate, root = map(Path, sys.argv[1:6])
method = sys.argv[6]
config = signing.Config.__new__(signing.Config)  # the constructor of 1.0.x asks the public good instance for its keys
config._hashing_config = hashing.Config()
if method == "key":
    config.use_elliptic_key_signer(private_key=key)
else:
    config.use_certificate_signer(private_key=key, signing_certificate=certificate, certificate_chain=[root])
config.sign(model, out)
"""
_SIGN_0_2 = """
import sys
from pathlib import Path
from model_signing import api
from model_signing.signature import key as keys, pki
from model_signing.signing import in_toto, in_toto_signature
model, out, key, certificate, root = map(Path, sys.argv[1:6])
if sys.argv[6] == "key":
    signer = keys.ECKeySigner.from_path(str(key))
else:
    signer = pki.PKISigner.from_path(str(key), str(certificate), [str(root)])
payload = in_toto.DigestsIntotoPayload.from_manifest(api.HashingConfig().hash(model))
in_toto_signature.IntotoSigner(signer).sign(payload).write(out)
"""


def methods(release: str) -> tuple[str, ...]:
    """What a release can sign with."""
    return ("key",) if release == "0.3.1" else ("key", "certificate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="+", metavar="RELEASE=PYTHON")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    generate(dict(item.split("=", 1) for item in arguments.releases), arguments.out)


def generate(interpreters: dict[str, str], out: Path) -> None:
    """Write model/, key.pub, root.pem and one bundle per release and method.

    Args:
        interpreters: release → path of its Python.
        out: folder.
    """
    root = authority("test root", start=NOW - DAY, end=NOW + 3650 * DAY)
    signer = leaf(root, end=NOW + 3600 * DAY)
    model = oms.write(out / "model", MODEL)
    (out / "key.pub").write_bytes(oms.public_pem(signer.key))
    (out / "root.pem").write_bytes(root.pem)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "key").write_bytes(oms.private_pem(signer.key))
        (folder / "certificate").write_bytes(signer.pem)
        for release, python in interpreters.items():
            script = _SIGN_0_2 if release.startswith("0.2.") else _SIGN
            for method in methods(release):
                bundle = out / f"{release}-{method}.json"
                files = [model, bundle, folder / "key", folder / "certificate", out / "root.pem"]
                subprocess.run([python, "-c", script, *map(str, files), method], check=True)


if __name__ == "__main__":
    main()
