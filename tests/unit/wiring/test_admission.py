"""The light composition root: what decides, fed from a folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from modeltrust.admission.decide import Admission
from modeltrust.domain.errors import InvalidInputError, ModelTrustError
from modeltrust.policy.policy import Unmatched
from modeltrust.store.sink import Kind
from modeltrust.wiring.admission import believe, live_admission, live_from_folder, new_store
from tests.support import fast_yaml, trusted
from tests.support.statements import NOW, attestor_entry

ATTESTORS = fast_yaml.dump([attestor_entry(trusted.ATTESTOR_KEY)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    said = trusted.statement(trusted.GUARD)
    objects = [trusted.policy(), trusted.signer(), trusted.namespace("team-a"), trusted.attestation("a", said)]
    (tmp_path / "objects.yaml").write_text(fast_yaml.dump_all([dict(each) for each in objects]))
    (tmp_path / "attestors.yaml").write_text(ATTESTORS)
    return tmp_path


def test_a_good_folder_decides(folder: Path) -> None:
    assert isinstance(live_from_folder(folder, now=NOW).admission, Admission)


def test_documents_inside_strings_are_read(folder: Path) -> None:
    serve = fast_yaml.dump(
        {"applications": [{"args": {"llm_configs": [{"model_loading_config": {"model_source": "acme/guard-7b"}}]}}]}
    )
    ray = {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "r"}, "spec": {"serveConfigV2": serve}}
    workload = live_from_folder(folder, now=NOW).extractor.extract(json.dumps(ray).encode(), namespace="team-a")
    assert [str(found.reference) for found in workload.references] == ["hf://acme/guard-7b"]
    assert not workload.unresolved


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="the trust folder cannot be used"):
        live_from_folder(folder / "missing", now=NOW)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("broken.yaml", "{"),
        ("broken.yaml", "a: 1\na: 2"),
        ("broken.yaml", "x: &a [*a]"),
        ("broken.json", "{"),
        ("attestors.yaml", "{"),
        ("attestors.yaml", "[]"),
        ("attestors.yaml", "- {}"),
        ("attestors.yaml", ""),
        ("attestors.yaml", f"{ATTESTORS}---\n{ATTESTORS}"),
        ("attestors.yaml", "null"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InvalidInputError, match=name.replace(".", r"\.")):
        live_from_folder(folder, now=NOW)


def test_attestors_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "attestors.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        live_from_folder(folder, now=NOW)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (trusted.policy("bad", requirements=[]), "policies bad"),
        (trusted.policy("bad", requirements=[{"type": "Surprise"}]), "policies bad"),
        (trusted.policy("bad", mode="Maybe"), "policies bad"),
        (trusted.revocation("bad", action="Perhaps"), "revocations bad"),
        (trusted.thing("TrustedSigner", "bad", {}), "signers bad"),
    ],
)
def test_an_object_that_cannot_be_used_is_refused_by_name(broken: dict[str, Any], named: str, folder: Path) -> None:
    (folder / "bad.yaml").write_text(fast_yaml.dump(broken))
    with pytest.raises(InvalidInputError, match=named):
        live_from_folder(folder, now=NOW)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[]", b"null", b"7", b"- {}", ATTESTORS.encode() * 2 + b"---\n", b"a: b"])
def test_bytes_that_are_no_trust_file_change_nothing(data: bytes) -> None:
    store = new_store(lambda *_: None, trusted.EXTRACTOR)
    store.replace(Kind.ATTESTATIONS, [trusted.attestation("a", trusted.statement(trusted.GUARD))])
    believe(store, ATTESTORS.encode())
    before = len(list(store.statements.unverified()))
    with pytest.raises(ModelTrustError):
        believe(store, data)
    assert len(list(store.statements.unverified())) == before == 1


def test_a_bug_of_ours_is_reported_under_its_type_where_nobody_asked_for_more(folder: Path) -> None:
    live = live_admission(folder, unmatched=Unmatched.DENY, problem=lambda *_: None)
    assert live.admission._report(ZeroDivisionError("b")) == "ZeroDivisionError"
