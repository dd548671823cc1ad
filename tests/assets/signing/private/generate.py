"""Makes the bundles of a private Sigstore of real services that tests/unit/signing/test_private.py verifies for ever, offline.

    MODELTRUST_SIGSTORE=1 MODELTRUST_COSIGN=1 make tools
    python -m tests.assets.signing.private.generate --out tests/assets/signing/private

Services, issuers and keys are made, used and thrown away; the root, the bundles and who signed them are kept. The windows of the
root begin long before: sigstore-python takes no entry that begins after the clock of whoever runs the tests.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support import oms, tools
from tests.support.private_signing import ANN, PIPELINE, ROBOT, Person, Signing, signing

ASSETS = Path(__file__).parent
MODEL = ASSETS.parent / "model"
MANIFEST = b'{"schemaVersion": 2}'
COSIGN, SIGNED = {"cosign-first": ANN}, {"email": ANN, "workflow": PIPELINE, "username": ROBOT}
START = "2025-01-01T00:00:00Z"


def root_of(place: Signing) -> dict[str, Any]:
    """The instance's root with early windows."""
    root = place.instance.root_document()
    for part in ("tlogs", "ctlogs"):
        for log in root[part]:
            log["publicKey"]["validFor"]["start"] = START
    for part in ("certificateAuthorities", "timestampAuthorities"):
        for authority in root[part]:
            authority["validFor"]["start"] = START
    return root


def by_cosign(place: Signing, folder: Path, person: Person) -> bytes:
    """A message signature over the bytes of a manifest."""
    config = place.instance.signing_config(f"{place.issuers.plain}/{person.issuer}")
    files = {"config.json": json.dumps(config).encode(), "root.json": place.instance.trusted_root(), "manifest": MANIFEST}
    oms.write(folder, files)
    command = [str(tools.program("cosign")), "sign-blob", "--yes", "--bundle", "bundle", "--identity-token", place.token(person)]
    command += ["--signing-config", "config.json", "--trusted-root", "root.json", "manifest"]
    environment = os.environ | {"HOME": str(folder), "TUF_ROOT": str(folder / "tuf")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=60)
    return (folder / "bundle").read_bytes()


def generate(out: Path) -> None:
    """Write everything; the first entry of the log is cosign's."""
    with tempfile.TemporaryDirectory() as name, signing(Path(name)) as place:
        bundles = {stem: by_cosign(place, Path(name) / "cosign", person) for stem, person in COSIGN.items()}
        bundles |= {stem: place.sign(MODEL, person) for stem, person in SIGNED.items()}
        people = {
            stem: {"subject": person.subject, "issuer": place.issuers.url(person.issuer)}
            for stem, person in (COSIGN | SIGNED).items()
        }
        documents = {**{stem: json.loads(data) for stem, data in bundles.items()}, "trusted_root": root_of(place), "people": people}
    for stem, document in documents.items():
        (out / f"{stem}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Parse and make."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    generate(parser.parse_args().out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
