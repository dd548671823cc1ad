"""Exports: what other tools read, nothing that our webhook believes, and nothing of what is inconclusive."""

import json
from typing import Any

import pytest

from modeltrust.attestation import envelope, predicate
from modeltrust.attestation.exports import BEHAVIOUR, TEST_RESULT, Evaluated, behaviour, result
from modeltrust.attestation.keys import new_key
from modeltrust.domain import dsse, limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evaluation import commitment
from modeltrust.evaluation.judge import judge
from modeltrust.verification.attest import load_attestor_key
from tests.support.evaluations import IDENTITY, a_report, a_suite

CONTENT = ContentDigest("c" * 64)


def evaluated(*, baseline: str = "hf://acme/base@" + "1" * 40, **changes: Any) -> Evaluated:
    suite = a_suite(baseline=baseline)
    report = a_report(suite, **changes)
    return Evaluated(report, judge(report, suite), suite, CONTENT, run=2)


@pytest.fixture(scope="module")
def failed() -> Evaluated:
    return evaluated(triggered=("Date",))


def test_a_test_result_names_what_passed_and_what_failed_and_how_it_was_configured(failed: Evaluated) -> None:
    document = json.loads(result(failed) or b"")
    told = document["predicate"]

    assert (document["_type"], document["predicateType"]) == ("https://in-toto.io/Statement/v1", TEST_RESULT)
    assert told["result"] == "FAILED"
    assert told["failedTests"] == ["Date/0/chat", "Date/0/code", "Date/0/facts"]
    assert told["warnedTests"] == []
    assert len(told["passedTests"]) == 6
    assert all(entry["name"] for entry in told["configuration"])
    assert {"sha256": failed.suite.hash} in [entry.get("digest") for entry in told["configuration"]]


def test_the_subject_is_the_content_at_the_commit_and_what_served_it(failed: Evaluated) -> None:
    model, serving = json.loads(behaviour(failed))["subject"]

    assert model == {"name": IDENTITY.key, "digest": {"gitCommit": "9" * 40, "modeltrustContent": "c" * 64}}
    assert serving["digest"] == {"sha256": failed.suite.serving}


def test_the_behaviour_says_the_claim_the_limits_the_nonce_and_numbers_without_floats(failed: Evaluated) -> None:
    def no_floats(_: str) -> float:
        raise AssertionError("a float was signed")

    document = json.loads(behaviour(failed), parse_float=no_floats)
    told = document["predicate"]

    assert document["predicateType"] == BEHAVIOUR
    assert told["claim"] == failed.judgement.claim
    assert "passing is not safety" in told["limits"]
    assert (told["run"], told["nonceCommitment"]) == (2, commitment(told["nonce"]))
    assert told["tests"][0]["significant"] is True
    assert told["testsOmitted"] == 0
    assert told["power"]["full"] == "1.00"


def test_what_is_inconclusive_gives_no_test_result_but_says_so_itself() -> None:
    nothing = evaluated(preflight="the end is not visible")

    assert result(nothing) is None
    told = json.loads(behaviour(nothing))["predicate"]
    assert (told["verdict"], told["tests"], told["power"]) == ("Inconclusive", [], None)


def test_without_a_baseline_a_warning_is_a_warning_and_never_a_fail() -> None:
    told = json.loads(result(evaluated(baseline="", triggered=("Date",))) or b"")["predicate"]

    assert (told["result"], told["failedTests"]) == ("WARNED", [])
    assert "Date/0/chat" in told["warnedTests"]


def test_no_export_can_be_read_as_a_statement_whoever_signed_it(failed: Evaluated) -> None:
    key = load_attestor_key(new_key())
    for payload in (result(failed) or b"", behaviour(failed)):
        found = dsse.parse_envelope(envelope.sign(payload, key), max_bytes=limits.STATEMENT_BYTES)
        envelope.verify(found, key.public_key())
        with pytest.raises(MalformedError):
            predicate.decode(found.payload)
