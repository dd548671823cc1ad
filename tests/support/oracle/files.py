"""Rows by what lies on disk and how it was signed with a key: every trap of facts/signing.md section 4.2 that is about them."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.signer import TrustedSigner
from tests.support import oms, reference_library
from tests.support.oracle.bench import KEY, Answers, Bench, Row
from tests.support.reference_library import files, shards

Ask = Callable[[Path], Answers]
Config = Callable[[], Any]
RESIDUE = [".cache", "model.sig"]


def signed(
    config: Config | None = None,
    *,
    before: Mapping[str, bytes] | None = None,
    after: Mapping[str, bytes] | None = None,
    explicit: Config | None = None,
    change: Callable[[Any], Any] | None = None,
) -> Ask:
    """Signed by the library, perhaps changed, and verified.

    Args:
        config: how files are hashed; default the library's.
        before: further files that are signed.
        after: further files that are not.
        explicit: how the library is told to hash when it verifies; default it guesses from the statement.
        change: what else its verifier is told.
    """

    def ask(folder: Path) -> Answers:
        bench = Bench(folder, {**oms.FILES, **(before or {})})
        bundle = bench.sign(None if config is None else config())
        oms.write(bench.model, after or {})
        verifier = bench.by_key()
        if explicit is not None:
            verifier.set_hashing_config(explicit())
        return bench.answers(bundle, verifier if change is None else change(verifier))

    return ask


def ignoring(*paths: str) -> Config:
    return lambda: files().set_ignored_paths(paths=list(paths))


def unsigned_ignored(verifier: Any) -> Any:
    return verifier.set_ignore_unsigned_files(True)


def by_curve(curve: ec.EllipticCurve) -> Ask:
    def ask(folder: Path) -> Answers:
        bench, key = Bench(folder), oms.new_key(curve)
        bundle = reference_library.sign(bench.model, bench.scratch / "bundle", key)
        return bench.answers(bundle, reference_library.by_key(bench.scratch, key), signer=oms.key_signer(key))

    return ask


def reused(folder: Path) -> Answers:
    bench = Bench(folder)
    first = oms.write(folder / "first", {**oms.FILES, "junk/a": b""})
    second = oms.write(folder / "second", {**oms.FILES, "junk/evil.py": b"x"})
    verifier = bench.by_key()
    assert reference_library.accepts(verifier, first, bench.sign(ignoring("junk")(), first), bench.scratch)
    return bench.answers(bench.sign(), verifier, model=second)


def nothing(folder: Path) -> Answers:
    bench = Bench(folder)
    empty = folder / "empty"
    empty.mkdir()
    return bench.answers(bench.sign(model=empty), model=empty)


def single_file(folder: Path) -> Answers:
    bench = Bench(folder)
    model = bench.model / "model.safetensors"
    return bench.answers(bench.sign(model=model), model=model)


def links(verify: Config | None) -> Ask:
    def ask(folder: Path) -> Answers:
        bench = Bench(folder)
        linked = folder / "linked"
        linked.mkdir()
        (linked / "config.json").symlink_to(bench.model / "config.json")
        allowing: Config = lambda: files(allow_symlinks=True).set_allow_symlinks(allow_symlinks=True)  # noqa: E731 - used twice below
        verifier = bench.by_key()
        if verify is not None:
            verifier.set_hashing_config(verify())
        return bench.answers(bench.sign(allowing(), linked), verifier, model=linked)

    return ask


def outside(folder: Path) -> Answers:
    bench = Bench(folder)
    (folder / "secret.txt").write_bytes(b"secret")
    listed = [{"name": "../secret.txt", "algorithm": "sha256", "digest": oms.sha256(b"secret")}, *oms.resources()]
    bundle = oms.key_bundle(json.dumps(oms.statement(listed)).encode(), KEY)
    return bench.answers(bundle, unsigned_ignored(bench.by_key()))


def payload_by_key(payload: bytes) -> Ask:
    return lambda folder: Bench(folder).answers(oms.key_bundle(payload, KEY))


def document(edit: Callable[[dict[str, Any]], None], signer: TrustedSigner | None = None) -> Ask:
    """A good bundle with one thing changed."""

    def ask(folder: Path) -> Answers:
        value = oms.key_document(oms.payload(), KEY)
        edit(value)
        return Bench(folder).answers(json.dumps(value).encode(), signer=signer)

    return ask


def old_encoding(value: dict[str, Any]) -> None:
    payload = oms.payload()
    text = f"DSSEV1 {len(oms.IN_TOTO)} {oms.IN_TOTO} {len(payload)} {payload!r}".encode()
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(KEY.sign(text, ec.ECDSA(oms.HASHES["secp256r1"]))).decode()


def key_inside(value: dict[str, Any]) -> None:
    raw = base64.b64encode(oms.public_pem(KEY)).decode()
    value["verificationMaterial"]["publicKey"] = {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}


def hinted(hint: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["verificationMaterial"]["publicKey"].update(hint=hint)


def media_type(text: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.update(mediaType=text)


def second_signature(value: dict[str, Any]) -> None:
    value["dsseEnvelope"]["signatures"] *= 2


def duplicate_key(folder: Path) -> Answers:
    text = oms.key_bundle(oms.payload(), KEY).decode().replace('"mediaType"', '"mediaType": "x", "mediaType"', 1)
    return Bench(folder).answers(text.encode())


def of_another_key(folder: Path) -> Answers:
    return Bench(folder).answers(oms.key_bundle(oms.payload(), oms.new_key()))


ROWS = (
    Row("key: files, sha256", signed(), good=True),
    Row("key: P-384", by_curve(ec.SECP384R1()), good=True),
    Row("key: P-521", by_curve(ec.SECP521R1()), good=True),
    Row("key: the key itself in the bundle, no hint", document(key_inside), good=True),
    Row("key: a hint that hashes DER", document(hinted(oms.fingerprint(KEY)))),
    Row("key: another key", of_another_key),
    Row("key: a file changed", signed(after={"config.json": b"evil"})),
    Row("key: a file more", signed(after={"evil.py": b"x"})),
    Row(
        "key: residue, and told to ignore it",
        signed(after={".cache/huggingface/download/a.metadata": b"", "model.sig": b""}, explicit=ignoring(*RESIDUE)),
        good=True,
    ),
    Row("key: residue, and not told", signed(after={".cache/huggingface/download/a.metadata": b"", "model.sig": b""})),
    Row("key: blake2b", signed(lambda: files(hashing_algorithm="blake2"), explicit=lambda: files(hashing_algorithm="blake2"))),
    Row("key: blake2b, guessed", signed(lambda: files(hashing_algorithm="blake2"))),
    Row("key: blake3", signed(lambda: files(hashing_algorithm="blake3"), explicit=lambda: files(hashing_algorithm="blake3"))),
    Row("key: shards", signed(shards, explicit=shards)),
    Row("key: shards, guessed", signed(shards)),
    Row("key: blake3 shards, written as files", signed(lambda: shards(hashing_algorithm="blake3"))),
    Row("key: shards and an empty file more", signed(shards, explicit=shards, after={"__init__.py": b""})),
    Row("key: shards and a colon in a name", signed(shards, explicit=shards, before={"a:b": b"123456"})),
    Row("key: links", links(lambda: files(allow_symlinks=True).set_allow_symlinks(allow_symlinks=True))),
    Row("key: links, guessed", links(None)),
    Row("key: a single file", single_file),
    Row("trap: a verifier used twice", reused),
    Row("trap: a file in .github", signed(after={".github/modeling_evil.py": b"x"})),
    Row("trap: a file in .git", signed(after={".git/evil.pkl": b"x"})),
    Row("trap: a file that the signer ignored", signed(ignoring("modeling_custom.py"), after={"modeling_custom.py": b"x"})),
    Row("trap: a signer who ignored everything", signed(ignoring("."), after={"evil.py": b"x"})),
    Row("trap: an empty model", nothing),
    Row("trap: unsigned files ignored", signed(after={"pytorch_model.bin": b"x"}, change=unsigned_ignored)),
    Row("trap: a name outside of the model", outside),
    Row("trap: a statement of 0.2.0", payload_by_key(oms.legacy_payload())),
    Row("trap: the encoding of 0.2.0", document(old_encoding)),
    Row("bundle: a key twice", duplicate_key),
    Row("bundle: two signatures", document(second_signature)),
    Row("bundle: a media type of version 0.4", document(media_type("application/vnd.dev.sigstore.bundle.v0.4+json"))),
    Row("bundle: another payload type", document(lambda value: value["dsseEnvelope"].update(payloadType="text/plain"))),
    Row(
        "bundle: another payload",
        document(lambda value: value["dsseEnvelope"].update(payload=base64.b64encode(oms.payload({})).decode())),
    ),
    Row("bundle: an unknown field", document(lambda value: value.update(note="x"))),
)
