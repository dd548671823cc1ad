"""Bundles verified per second and core: key, certificate, keyless v1 and v2; all but certificates against model-signing, too.

Best of interleaved rounds of process time. model-signing hashes the (tiny) folder again, ours compares listed digests.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeltrust.domain.evidence import SignatureEvidence
from modeltrust.domain.signer import CertificateTrust, KeylessIdentity, KeylessTrust
from modeltrust.signing.verify import verify
from tests.support import oms, reference_library
from tests.support.certificates import URI, Pair, authority, leaf
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore, b64, fingerprint

ROUNDS, CALLS = 9, 20
PER_SECOND = 150


def main() -> int:
    instance, key = TestSigstore(), oms.new_key()
    trust = KeylessTrust((KeylessIdentity("x", ISSUER, IDENTITY),), instance.trusted_root(), instance.fingerprints())
    root = authority("root")
    anchors = CertificateTrust(root.pem, frozenset({fingerprint(root.key.public_key())}), "uri", URI)
    signers, listing = (oms.key_signer(key), oms.signer(trust), oms.signer(anchors)), oms.listing()
    bundles = {
        "certificate": certified(leaf(root)),
        "key": oms.key_bundle(oms.payload(), key),
        "keyless v1": instance.bundle(oms.payload(), version=1),
        "keyless v2": instance.bundle(oms.payload(), version=2),
    }
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch, model = Path(folder) / "scratch", oms.write(Path(folder) / "model")
        for name, bundle in bundles.items():

            def ours(bundle: bytes = bundle) -> bool:
                return isinstance(verify(bundle, listing, signers=signers, now=NOW, content=None), SignatureEvidence)

            if name == "certificate":
                missed += told(name, *best(ours))
                continue

            def theirs(name: str = name, bundle: bytes = bundle) -> bool:
                if name == "key":
                    verifier = reference_library.by_key(scratch, key)
                else:
                    verifier = reference_library.keyless(scratch, instance.trust_config(), identity=IDENTITY, issuer=ISSUER)
                return reference_library.accepts(verifier, model, bundle, scratch)

            mine, reference = best(ours, theirs)
            missed += told(name, mine)
            print(f"  {mine / reference:.2f} x model-signing ({reference:.2f} ms)")
    return int(missed > 0)


def told(name: str, milliseconds: float) -> bool:
    """Print one figure; whether it misses the goal."""
    per_second = 1000 / milliseconds
    print(f"{name}: {per_second:.0f} bundles per second and core (goal {PER_SECOND}), {milliseconds:.2f} ms each")
    return per_second < PER_SECOND


def certified(signing: Pair) -> bytes:
    """A bundle signed by a certificate."""
    document = oms.key_document(oms.payload(), signing.key)
    chain = {"x509CertificateChain": {"certificates": [{"rawBytes": b64(signing.der)}]}, "tlogEntries": []}
    return json.dumps({**document, "verificationMaterial": chain}).encode()


def best(*functions: Callable[[], bool]) -> list[float]:
    """Milliseconds of CPU per call, the best round of each."""
    found = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for index, function in enumerate(functions):
            start = time.process_time()
            if not all(function() for _ in range(CALLS)):
                raise SystemExit("a bundle does not verify")
            found[index] = min(found[index], (time.process_time() - start) * 1000 / CALLS)
    return found


if __name__ == "__main__":
    sys.exit(main())
