import base64
import json
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, UntrustedError
from modeltrust.domain.globs import Glob
from modeltrust.domain.work import SourceType
from modeltrust.operator.sources import Sources, access, credentials, remote_bundle
from modeltrust.store.sink import Extra
from tests.support.trusted import thing

KIND = Extra.SOURCES


def source(name: str, *models: str, **spec: Any) -> dict[str, Any]:
    return thing(
        "ModelSource", name, {"models": list(models), "type": "HuggingFace", "endpoints": ["https://huggingface.co"], **spec}
    )


def secret(data: dict[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": "s"}, "data": encoded}


@pytest.fixture
def sources() -> Sources:
    sources = Sources()
    sources.replace(KIND, [source("all", "hf://**"), source("acme", "hf://acme/*"), source("one", "hf://acme/guard-7b")])
    return sources


@pytest.mark.parametrize(("model", "name"), [("hf://acme/guard-7b", "one"), ("hf://acme/other", "acme"), ("hf://zeta/x", "all")])
def test_the_most_specific_source_answers(model: str, name: str, sources: Sources) -> None:
    assert sources.covering(model).name == name


@pytest.mark.parametrize("model", ["oci://registry.acme.example/a", "hf+https://evil.example/acme/guard-7b", "s3://acme/guard-7b"])
def test_h2_a_model_that_no_source_covers_is_looked_up_nowhere(model: str, sources: Sources) -> None:
    with pytest.raises(UntrustedError, match="no ModelSource covers") as caught:
        sources.covering(model)
    assert caught.value.reason == "SourceNotAllowed"


def test_two_sources_that_fit_equally_are_named_and_neither_is_asked(sources: Sources) -> None:
    sources.upsert(KIND, source("twin", "hf://acme/*"))
    with pytest.raises(UntrustedError, match='equally closely: "acme", "twin"'):
        sources.covering("hf://acme/other")
    assert sources.covering("hf://acme/guard-7b").name == "one"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("hf://acme/guard-*", "hf://acme/*"),
        ("hf://acme/*", "hf://**"),
        ("hf://acme/*", "hf://*/*"),
        ("hf://acme/guard-*", "hf://acme/g*"),
        ("hf://acme/*", "hf://acme/**"),
    ],
)
def test_longer_beginnings_and_fewer_stars_are_more_specific(better: str, worse: str) -> None:
    for order in ((better, worse), (worse, better)):
        sources = Sources()
        sources.replace(KIND, [source(f"s{number}", pattern) for number, pattern in enumerate(order)])
        assert sources.covering("hf://acme/guard-7b").models[0].pattern == better


def test_a_source_that_cannot_be_used_hands_its_models_to_no_other_one(sources: Sources) -> None:
    sources.upsert(KIND, source("broken", "hf://acme/guard-7b", 7, endpoints=["http://evil.example"]))  # type: ignore[arg-type]
    with pytest.raises(UntrustedError, match='"broken" names'):
        sources.covering("hf://acme/guard-7b")
    assert sources.covering("hf://acme/other").name == "acme"
    sources.delete(KIND, "broken")
    assert sources.covering("hf://acme/guard-7b").name == "one"


@pytest.mark.parametrize("spec", [None, [], {"models": 7}, {"models": [{}]}])
def test_a_source_that_names_nothing_readable_covers_nothing(spec: Any, sources: Sources) -> None:
    sources.upsert(KIND, {**source("broken", "hf://x/y"), "spec": spec})
    assert sources.covering("hf://acme/other").name == "acme"


def test_whoever_wants_to_know_is_told_of_the_models_before_and_after() -> None:
    told: list[set[str]] = []
    sources = Sources(lambda globs: told.append({glob.pattern for glob in globs}))
    sources.replace(KIND, [source("a", "hf://a/*")])
    sources.upsert(KIND, source("a", "hf://b/*"))
    sources.delete(KIND, "a")
    sources.delete(KIND, "a")
    sources.replace(KIND, [])
    assert told == [{"hf://a/*"}, {"hf://a/*", "hf://b/*"}, {"hf://b/*"}, set(), set()]


def test_there_are_never_more_than_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOURCES_CONSIDERED", 2)
    sources = Sources()
    sources.replace(KIND, [source(f"s{number}", f"hf://a/m{number}") for number in range(4)])
    assert sources.covering("hf://a/m1").name == "s1"
    with pytest.raises(UntrustedError):
        sources.covering("hf://a/m3")


def test_a_source_is_read_as_it_says(sources: Sources) -> None:
    places = [{"path": "sig/model.sig"}, {"oci": "registry.acme.example/signatures"}]
    sources.upsert(
        KIND,
        source(
            "full",
            "oci://r.example/**",
            type="OCI",
            signatures=places,
            limits={"maxBytes": 10, "maxFiles": 3},
            allowPrivateAddresses=True,
        ),
    )
    read = access(sources.covering("oci://r.example/a"), secret({"username": "us", "password": "pw"}))
    assert (read.type, read.username, read.password) == (SourceType.OCI, "us", "pw")
    assert (read.signature_paths, read.signature_repositories) == (("sig/model.sig",), ("registry.acme.example/signatures",))
    assert (read.max_bytes, read.max_files, read.allow_private) == (10, 3, True)
    assert "pw" not in repr(read)
    plain = access(sources.covering("hf://zeta/x"), None)
    assert (plain.username, plain.password, plain.max_bytes) == ("", "", limits.MODEL_BYTES)


CONFIG = json.dumps(
    {"auths": {"r.example": {"auth": base64.b64encode(b"us:p:w").decode()}, "two.example": {"username": "a", "password": "b"}}}
)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (secret({"username": "us", "password": "pw\n"}), ("us", "pw")),
        (secret({"accessKeyId": "id", "secretAccessKey": "key"}), ("id", "key")),
        (secret({"token": "hf_x"}), ("", "hf_x")),
        (secret({".dockerconfigjson": CONFIG}), ("us", "p:w")),
    ],
)
def test_credentials_are_read_in_the_usual_forms(held: dict[str, Any], expected: tuple[str, str]) -> None:
    assert credentials(held, "https://r.example") == expected


def test_a_registry_configuration_gives_the_entry_of_exactly_this_host() -> None:
    held = secret({".dockerconfigjson": CONFIG})
    assert credentials(held, "https://two.example") == ("a", "b")
    for other in ("https://r.example:5000", "https://sub.r.example", "https://example"):
        with pytest.raises(InvalidInputError, match="no credentials for"):
            credentials(held, other)


@pytest.mark.parametrize(
    "held",
    [
        {"metadata": {"name": "s"}},
        secret({}),
        secret({"username": "alone"}),
        secret({"password": "alone"}),
        secret({"token": ""}),
        secret({"token": "a\nb"}),
        secret({"token": "a\x00b"}),
        {"metadata": {"name": "s"}, "data": {"token": "no base64!"}},
        {"metadata": {"name": "s"}, "data": {"token": base64.b64encode(b"\xff\xfe").decode()}},
        secret({".dockerconfigjson": "{"}),
        secret({".dockerconfigjson": "[]"}),
        secret({".dockerconfigjson": '{"auths": {"r.example": {"auth": "!"}}}'}),
        secret({".dockerconfigjson": '{"auths": {"r.example": {"username": 1, "password": 2}}}'}),
        secret({".dockerconfigjson": '{"auths": {"r.example": {"username": "a", "password": ""}}}'}),
        secret({"token": "hunter2" * 20_000}),
    ],
)
def test_a_secret_without_credentials_is_an_error_that_shows_nothing_of_it(held: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        credentials(held, "https://r.example")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_h2_evidence_in_a_registry_is_fetched_only_where_a_source_of_its_type_covers_it(sources: Sources) -> None:
    evidence = "r.example/evidence/a@sha256:" + "ab" * 32
    with pytest.raises(UntrustedError, match="of type OCI covers"):
        remote_bundle(evidence, sources, lambda found: access(found, None))
    sources.upsert(KIND, source("wrong-type", "oci://r.example/**"))
    with pytest.raises(UntrustedError, match="of type OCI covers"):
        remote_bundle(evidence, sources, lambda found: access(found, None))
    sources.upsert(KIND, source("registry", "oci://r.example/evidence/*", type="OCI", endpoints=["https://r.example"]))
    bundle = remote_bundle(evidence, sources, lambda found: access(found, None))
    assert (bundle.reference, bundle.access.endpoints) == (evidence, ("https://r.example",))
    assert Glob("oci://r.example/**").matches("oci://r.example/evidence/a")
