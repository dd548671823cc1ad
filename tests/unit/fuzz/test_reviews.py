"""A glimpse of the fuzzer in every run; minutes of it run in the slow tests and by hand."""

import json
import random

import pytest

from tests.fuzz import launches
from tests.fuzz.cases import EVIL, GOOD, NOISE, Generator
from tests.fuzz.reference import may_admit
from tests.fuzz.reviews import Fuzzer
from tests.fuzz.world import World, encoded, review
from tests.support import reviews

SEED = 20_261_124
CASES = 600
SECONDS = 60.0  # never reached: how many cases are asked must not depend on how busy the machine is


def test_no_wrong_allow_no_error_no_exception() -> None:
    report = Fuzzer(SEED).run(seconds=SECONDS, cases=CASES)
    assert report.findings == []
    assert report.cases == CASES
    assert report.counts[EVIL, "denied"] > report.cases / 2
    assert report.counts[GOOD, "admitted"] > report.counts[GOOD, "denied"], "a webhook that denies everything proves nothing"
    assert report.counts[NOISE, "admitted"] > 0


def test_a_case_is_made_again_from_its_number() -> None:
    first, second = Generator(SEED), Generator(SEED)
    assert [first.case(number) for number in range(50)] == [second.case(number) for number in reversed(range(50))][::-1]


def test_the_attested_objects_are_admitted_by_the_webhook_and_the_reference() -> None:
    world = World()
    for obj in (reviews.pod(), reviews.deployment(), reviews.inference_service()):
        body = encoded(review(obj))
        assert json.loads(world.answer(body) or b"")["response"]["allowed"]
        assert may_admit(body)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["containers"][0]["args"].__setitem__(0, "evil/model"),
        lambda spec: spec["containers"][0]["args"].__setitem__(2, "main"),
        lambda spec: spec["containers"][0]["args"].append("--trust-remote-code"),
        lambda spec: spec["containers"][0]["env"].append({"name": "HF_ENDPOINT", "value": "https://evil.example"}),
        lambda spec: spec["initContainers"][0]["command"].__setitem__(2, "hf download evil/model --revision main"),
        lambda spec: spec["volumes"][2]["image"].__setitem__("reference", "registry.evil.example/x:1"),
    ],
)
def test_the_reference_is_certain_of_plain_evil(change: object) -> None:
    obj = json.loads(json.dumps(reviews.pod()))
    assert callable(change)
    change(obj["spec"])
    assert not may_admit(encoded(review(obj)))


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"request":{"operation":"CONNECT","object":{}}}', b"\xff"])
def test_the_reference_never_admits_what_is_no_review(body: bytes) -> None:
    assert not may_admit(body)


def test_every_evil_launch_has_words_that_name_it() -> None:
    made = [launches.evil(random.Random(number)) for number in range(200)]  # noqa: S311 - to be repeated
    assert len({launch.label for launch in made}) > 20
