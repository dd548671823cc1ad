"""`--baseline-answers`: asked once, read again, and never taken for those of something else."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import pytest

from modeltrust.cli.endpoints import Place
from modeltrust.cli.stored_answers import Answers, WhenAsked, answers_of
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Suite
from modeltrust.evaluation import probes
from modeltrust.evaluation.answers import Answer
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.measure import StoredBaseline
from modeltrust.evaluation.openai import Endpoint
from tests.support import evaluation_runs as runs
from tests.support.endpoints import ToyModel

CONTENT = "sha256:" + "ab" * 32
BANK = replace(runs.private_bank(), prompts=runs.private_bank().prompts[:1])
SUITE = runs.suite(BANK, families=("DeploymentTag",), per_stratum=4)


@dataclass
class Nobody:
    """A baseline that must not be asked."""

    def ask(self, prompt: str, *, tokens: int = 0) -> Answer:
        raise AssertionError(f"asked {prompt!r} for {tokens} tokens")

    def write_turn(self, seed: int) -> str:
        raise AssertionError(f"asked for turn {seed}")


@dataclass
class Fixed:
    """Answers everything with the same words and no log-probabilities worth the name."""

    answer: Answer | None = None

    def ask(self, prompt: str, *, tokens: int = 0) -> Answer:
        if self.answer is None:
            raise UnavailableError(f"no answer to {len(prompt)} characters in {tokens} tokens")
        return self.answer

    def write_turn(self, seed: int) -> str:
        raise UnavailableError(f"no turn {seed}")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EVALUATION_POOL", 16)
    monkeypatch.setattr(limits, "EVALUATION_MINING_SAMPLES", 8)


def answers(folder: Path, *, content: str = CONTENT, prefix: str = "<user>") -> Answers:
    place = Place.of(str(folder), dialect=None, name="model").turning(replace(SUITE, user_prefix=prefix, turn_end="<end>"))
    return Answers(folder / "base.answers.json", place, content, "1.2")


def read(named: Answers, baseline: Endpoint, *, suite: Suite = SUITE, bank: Bank = BANK) -> StoredBaseline:
    return named.read(suite, bank, baseline, lambda _step, _done, _of: None)


def test_the_baseline_is_asked_once_and_covers_every_run_of_the_suite(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    first = answers(tmp_path).read(SUITE, BANK, runs.BASE, lambda *step: told.append(step))

    again = read(answers(tmp_path), Nobody())

    assert (again, len(again.turns)) == (first, 8)
    assert told[0][0] == "baseline"
    assert told[-1][1] == told[-1][2] > 0
    for nonce in ("00" * 16, "5a" * 16):
        for probe in probes.plan(BANK, SUITE, content=CONTENT, nonce=nonce).probes:
            assert len(again.measure(probe).effects) == len(probe.texts)


@pytest.mark.parametrize(
    ("content", "suite", "bank"),
    [
        ("sha256:" + "cd" * 32, SUITE, BANK),
        (CONTENT, replace(SUITE, families=("DeploymentTag", "RareToken")), BANK),
        (CONTENT, replace(SUITE, per_stratum=8), BANK),
        (CONTENT, SUITE, replace(BANK, digest="0" * 64)),
        (CONTENT, SUITE, replace(BANK, private_digest="0" * 64)),
        (CONTENT, SUITE, replace(BANK, prompts=runs.private_bank().prompts[1:2])),
    ],
    ids=["baseline", "families", "size", "bank", "prompts", "kinds"],
)
def test_answers_of_something_else_are_refused_and_stay_as_they_are(content: str, suite: Suite, bank: Bank, tmp_path: Path) -> None:
    read(answers(tmp_path), runs.BASE)
    before = (tmp_path / "base.answers.json").read_bytes()

    with pytest.raises(InvalidInputError, match="another baseline, engine, probe bank, prompts or suite"):
        read(answers(tmp_path, content=content), runs.BASE, suite=suite, bank=bank)

    assert (tmp_path / "base.answers.json").read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"key": 1, "probes": {}, "turns": []}', b"\xff"])
def test_a_broken_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "base.answers.json").write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"base\.answers\.json"):
        read(answers(tmp_path), runs.BASE)


def test_a_baseline_whose_numbers_mean_nothing_is_not_stored(tmp_path: Path) -> None:
    silent = ToyModel("base").ask("what is a stone")
    for liar in (Fixed(), Fixed(replace(silent, has_ids=False))):
        with pytest.raises(InvalidInputError, match="cannot be stored: baseline"):
            read(answers(tmp_path), liar)
        assert not (tmp_path / "base.answers.json").exists()


def test_without_the_start_of_a_turn_no_turns_are_stored(tmp_path: Path) -> None:
    assert read(answers(tmp_path, prefix=""), runs.BASE).turns == ()


def test_a_baseline_that_is_never_asked_is_never_opened(tmp_path: Path) -> None:
    broken = Place.of(str(tmp_path), dialect=None, name="model")
    with ExitStack() as stack:
        asked = WhenAsked(broken, stack)
        for question in (lambda: asked.ask("x"), lambda: asked.write_turn(1)):
            with pytest.raises((InvalidInputError, MalformedError)):
                question()


def test_only_a_folder_has_answers_of_its_own(tmp_path: Path) -> None:
    server = Place.of("http://127.0.0.1:9", dialect="vllm", name="model")
    folder = Place.of(str(tmp_path), dialect=None, name="model")
    path = tmp_path / "base.json"
    assert answers_of(None, None, "") is None
    assert answers_of(path, folder, CONTENT, version=lambda _: "1.2") == Answers(path, folder, CONTENT, "1.2")
    for place in (None, server):
        with pytest.raises(InvalidInputError, match="expected --baseline DIR"):
            answers_of(path, place, CONTENT)


def test_without_an_engine_a_folder_has_none(tmp_path: Path) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    folder = Place.of(str(tmp_path), dialect=None, name="model")
    with pytest.raises(InvalidInputError, match=r"modeltrust\[engine\]"):
        answers_of(tmp_path / "base.json", folder, CONTENT, version=version)


def test_another_version_of_the_engine_answers_for_itself(tmp_path: Path) -> None:
    read(answers(tmp_path), runs.BASE)
    with pytest.raises(InvalidInputError, match="another baseline, engine"):
        read(replace(answers(tmp_path), engine="1.3"), runs.BASE)
