"""The AdmissionReview codec: whatever comes in, a denial wherever the uid is known, and never an allow by accident."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api import review as codec
from modeltrust.api.review import Review, Undecodable, decode, encode, recover, unchanged
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from tests.support import reviews

ANNOTATIONS = frozenset({"internal.serving.kserve.io/*", "storage.acme.example/uri"})
LABELS = frozenset({"llm.acme.example/model"})


@dataclass(frozen=True)
class Cause:
    reason: str
    field: str
    message: str


def _decoded(body: bytes) -> Review:
    review = decode(body)
    assert isinstance(review, Review)
    return review


def test_what_is_read_of_a_create() -> None:
    deployment = reviews.deployment()
    review = _decoded(reviews.review(deployment, dry_run=True))
    assert (review.uid, review.operation, review.namespace, review.name) == (reviews.UID, "CREATE", "team-a", "guard")
    assert (review.kind.group, review.kind.version, review.kind.kind) == ("apps", "v1", "Deployment")
    assert (review.resource.resource, review.sub_resource, review.dry_run) == ("deployments", "", True)
    assert json.loads(review.document) == deployment
    assert review.old_object is None
    assert not review.oversized


def test_what_is_read_of_an_update_a_sub_resource_and_a_delete() -> None:
    update = _decoded(reviews.inference_service_update())
    assert update.old_object is not None
    assert update.old_object.keys() == json.loads(update.document).keys()
    assert json.loads(bytes(update.old_object["spec"])) != json.loads(update.document)["spec"]
    pod = reviews.pod()
    ephemeral = _decoded(reviews.review(pod, old=pod, sub_resource="ephemeralcontainers"))
    assert (ephemeral.operation, ephemeral.sub_resource) == ("UPDATE", "ephemeralcontainers")
    delete = _decoded(reviews.review(None, old=pod, operation="DELETE"))
    assert delete.document == b""
    assert {key: json.loads(bytes(value)) for key, value in (delete.old_object or {}).items()} == pod


def test_sizes_are_those_that_the_figures_of_performance_are_about() -> None:
    assert 7_800 < len(reviews.deployment_create()) < 8_600
    assert 14_500 < len(reviews.inference_service_update()) < 15_600


def test_who_asks_is_never_read() -> None:
    body = json.loads(reviews.pod_create())
    body["request"]["userInfo"] = {"username": ["not", "a", "string"]}
    assert _decoded(json.dumps(body).encode()) == _decoded(json.dumps(body | {"userInfo": 1}).encode())


def _with(path: tuple[str, ...], value: Any) -> bytes:
    body = json.loads(reviews.pod_create())
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "body",
    [
        _with(("apiVersion",), "admission.k8s.io/v1beta1"),
        _with(("kind",), "Review"),
        _with(("kind",), None),
        _with(("request", "operation"), None),
        _with(("request", "namespace"), 7),
        _with(("request", "kind"), "Pod"),
        _with(("request", "dryRun"), "no"),
        reviews.pod_create()[:-1],
        reviews.pod_create()[:400],
        reviews.pod_create() + b"{}",
        reviews.pod_create().replace(b'"object":{', b'"object":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b",", 1),
        reviews.pod_create().replace(b'"object":{', b'"object":{"x":NaN,', 1),
        reviews.pod_create().replace(b'"name":"guard', b'"name":"\xff', 1),
    ],
)
def test_what_cannot_be_read_after_its_uid_is_denied(body: bytes) -> None:
    review = decode(body)
    assert isinstance(review, Undecodable)
    assert review.uid == reviews.UID
    assert review.why


def test_a_review_beyond_the_bound_is_denied_once_its_uid_is_known() -> None:
    huge = reviews.pod_create() + b" " * limits.REVIEW_BYTES
    assert decode(huge) == Undecodable(reviews.UID, f"got a review of {len(huge)} bytes, expected at most {limits.REVIEW_BYTES}")
    with pytest.raises(MalformedError, match="expected at most"):
        decode(b" " * (limits.REVIEW_BYTES + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        b"{}",
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}',
        b"[" * 100_000,
        _with(("request", "uid"), ""),
        _with(("request", "uid"), None),
        _with(("request", "uid"), "x" * (limits.UID_CHARACTERS + 1)),
        _with(("request", "uid"), 'a"b')[:300],
    ],
)
def test_without_a_uid_there_is_nothing_to_answer(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(body)


def test_a_uid_is_looked_for_in_the_first_bytes_only() -> None:
    padding = b" " * limits.UID_SCAN_BYTES
    with pytest.raises(MalformedError):
        recover(padding + reviews.pod_create(), "too large")


def test_a_uid_inside_a_string_is_not_the_uid_of_the_request() -> None:
    evil = json.dumps({"kind": '"request":{"uid":"evil"', "request": {"uid": reviews.UID, "x": 1}}, separators=(",", ":")).encode()
    assert recover(evil, "x").uid == reviews.UID


def test_an_object_that_could_never_be_updated_is_flagged_at_create() -> None:
    large = reviews.pod()
    large["metadata"]["annotations"]["x"] = "y" * limits.CREATE_OBJECT_BYTES
    assert _decoded(reviews.review(large)).oversized
    assert not _decoded(reviews.review(large, operation="UPDATE")).oversized


# --- the UPDATE rule ---------------------------------------------------------------------------------------------------------


def _update(old: reviews.Object, **changes: Any) -> Review:
    new = copy.deepcopy(old)
    for path, value in changes.items():
        place = new
        *parents, last = path.split("__")
        for key in parents:
            place = place[key]
        place[last] = value
    return _decoded(reviews.review(new, old=old))


def _unchanged(review: Review) -> bool:
    return unchanged(review, ANNOTATIONS, LABELS)


def _annotated(**annotations: str) -> reviews.Object:
    pod = reviews.pod()
    pod["metadata"]["annotations"] |= {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
    return pod


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"model": "a"}}


@pytest.mark.parametrize(
    "review",
    [
        _update(reviews.pod()),
        _update(reviews.pod(), status={"phase": "Running"}),
        _update(reviews.pod(), metadata__finalizers=[]),
        _update(reviews.pod(), metadata__deletionTimestamp="2026-11-24T00:00:00Z"),
        _update(reviews.pod(), metadata__labels={"a": "b"}),
        _update(reviews.pod(), metadata__annotations={"a": "b"}),
        _update(reviews.pod(), metadata__managedFields=[]),
        _update(CONFIG_MAP, metadata__labels={"a": "b"}),
    ],
)
def test_an_update_that_changes_nothing_that_matters_passes(review: Review) -> None:
    assert _unchanged(review)


def _swapped() -> Review:
    new = reviews.pod()
    new["spec"]["containers"][0]["image"] = "evil"
    return _decoded(reviews.review(new, old=reviews.pod()))


@pytest.mark.parametrize(
    "review",
    [
        _swapped(),
        _update(CONFIG_MAP, data={"model": "b"}),
        _update(CONFIG_MAP, spec={}),
        _update(CONFIG_MAP, binaryData={}),
        _update(reviews.pod(), kind="Pod2"),
        _update(reviews.pod(), metadata__annotations={"modeltrust.dev/models": "[]"}),
        _update(_annotated(modeltrust_dev__models="[]"), metadata__annotations={}),
        _update(_annotated(internal_serving_kserve_io__uri="a"), metadata__annotations={"internal.serving.kserve.io/uri": "b"}),
        _update(_annotated(storage_acme_example__uri="a"), metadata__annotations={}),
        _update(reviews.pod(), metadata__labels={"llm.acme.example/model": "x"}),
        _update(reviews.pod(), metadata__annotations={"a": 1}),
        _decoded(reviews.pod_create()),
        _decoded(reviews.review(reviews.pod(), operation="UPDATE")),
        _decoded(reviews.review(None, old=reviews.pod(), operation="DELETE")),
        _decoded(reviews.review(reviews.pod(), old=reviews.pod(), operation="CREATE")),
    ],
)
def test_anything_else_is_judged_as_a_create(review: Review) -> None:
    assert not _unchanged(review)


def test_objects_that_are_no_maps_are_judged() -> None:
    body = json.loads(reviews.review(reviews.pod(), old=reviews.pod()))
    body["request"] |= {"object": []}
    assert not _unchanged(_decoded(json.dumps(body).encode()))


def test_an_object_before_that_is_no_map_is_refused() -> None:
    body = json.loads(reviews.review(reviews.pod(), old=reviews.pod()))
    body["request"] |= {"object": [], "oldObject": []}
    assert isinstance(decode(json.dumps(body).encode()), Undecodable)


def test_an_object_without_metadata_is_judged() -> None:
    body = json.loads(reviews.review(reviews.pod(), old=reviews.pod()))
    body["request"]["object"]["metadata"] = None
    assert not _unchanged(_decoded(json.dumps(body).encode()))


def test_fields_that_begin_alike_are_compared_to_their_ends() -> None:
    old = CONFIG_MAP | {f"f{number}": "x" * 100 + str(number) for number in range(9)}
    assert _unchanged(_decoded(reviews.review(old, old=old)))
    for number in range(9):
        assert not _unchanged(_decoded(reviews.review(old | {f"f{number}": "x" * 100}, old=old)))


def test_the_same_values_in_other_bytes_are_judged() -> None:
    body = reviews.review(CONFIG_MAP, old=CONFIG_MAP).replace(b'"data":{"model":"a"}', b'"data": {"model":"\\u0061"}', 1)
    assert not _unchanged(_decoded(body))


# --- the answer --------------------------------------------------------------------------------------------------------------


def test_a_denial_says_why_to_people_and_to_machines() -> None:
    causes = [Cause("Unsigned", "/spec/x", "nobody signed it")]
    answer = json.loads(encode("u", allowed=False, message="no", causes=causes, warnings=["w"], audit={"id": "7"}))
    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "u",
            "allowed": False,
            "status": {
                "status": "Failure",
                "code": 403,
                "message": "no",
                "reason": "Forbidden",
                "details": {"causes": [{"reason": "Unsigned", "message": "nobody signed it", "field": "/spec/x"}]},
            },
            "warnings": ["w"],
            "auditAnnotations": {"id": "7"},
        },
    }


def test_an_allow_carries_no_status_and_never_a_patch() -> None:
    assert json.loads(encode("u", allowed=True))["response"] == {"uid": "u", "allowed": True}


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid"), (500, None)])
def test_the_reason_fits_the_code(code: int, reason: str | None) -> None:
    assert json.loads(encode("u", allowed=False, code=code))["response"]["status"].get("reason") == reason


def test_a_lone_surrogate_turns_no_denial_into_an_error() -> None:
    causes = [Cause("Unsigned", "\ud800", "x")]
    answer = json.loads(encode("u", allowed=False, message="a\udc00b", causes=causes, warnings=["\ud800"]))
    assert answer["response"]["status"]["message"] == "a?b"
    assert answer["response"]["allowed"] is False


# --- fuzzing -----------------------------------------------------------------------------------------------------------------

BODIES = (reviews.deployment_create(), reviews.pod_create(), reviews.inference_service_update())


@settings(max_examples=300, deadline=None)
@given(
    body=st.sampled_from(BODIES),
    start=st.integers(0, 16_000),
    length=st.integers(0, 200),
    insert=st.binary(max_size=8) | st.sampled_from([b"{", b"]", b'"', b"null", b"\\u0000", b"\xff", b"1e999", b",", b'"uid":"x",']),
)
def test_mutated_reviews_raise_nothing_but_our_error(body: bytes, start: int, length: int, insert: bytes) -> None:
    start %= len(body)
    mutated = body[:start] + insert + body[start + length :]
    try:
        review = decode(mutated)
    except MalformedError:
        return
    if isinstance(review, Review):
        unchanged(review, ANNOTATIONS, LABELS)
        assert isinstance(review.oversized, bool)
    assert len(review.uid) <= limits.UID_CHARACTERS


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_noise_raises_nothing_but_our_error(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(body)


def test_the_codec_reads_no_more_than_it_names() -> None:
    assert "user_info" not in codec.Review.__struct_fields__
