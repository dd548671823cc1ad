"""`modeltrust evaluate REF|DIR --suite FILE …`: run an EvaluationSuite against an endpoint or a local engine."""

import contextlib
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from modeltrust.attestation.exports import Evaluated
from modeltrust.cli import files, options
from modeltrust.cli.endpoints import Place, opened_endpoint, serving_of
from modeltrust.cli.exits import Exit
from modeltrust.cli.exporting import Exporter
from modeltrust.cli.judged import Judged, judged_object, print_judged
from modeltrust.cli.models import listed, opened, plain_http_option
from modeltrust.cli.output import json as json_output
from modeltrust.cli.stored_answers import Answers, WhenAsked, answers_of
from modeltrust.cli.suites import read_suite
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, MalformedError, quote
from modeltrust.domain.evaluation import EvaluationOrder, EvaluationReport, Served, commitment
from modeltrust.domain.evidence import Verdict
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.judge import judge
from modeltrust.evaluation.report.page import page
from modeltrust.evaluation.run import Parties, Runner
from modeltrust.verification.content import content_of
from modeltrust.wiring.probes import load_known

_NONCE_BYTES = 16
_EXITS = {Verdict.PASSED: Exit.OK, Verdict.WARNED: Exit.OK, Verdict.FAILED: Exit.DENIED, Verdict.INCONCLUSIVE: Exit.UNDECIDED}


@click.command("evaluate")
@click.argument("name", metavar="REF|DIR")
@click.option("--suite", metavar="FILE", type=Path, required=True, help="one EvaluationSuite")
@click.option("--model", metavar="REF@REV", help="which model this is, with DIR; default: the folder's name and content digest")
@click.option("--content-digest", metavar="sha256:…", help="of REF, as `modeltrust digest` prints it; else read from its source")
@click.option("--endpoint", metavar="URL", help="http(s)://host[:port] where the model answers; default: a local engine serves DIR")
@click.option("--dialect", type=click.Choice(["vllm", "llamacpp"]), help="what serves at --endpoint, and at a --baseline URL")
@click.option("--served-name", metavar="NAME", default="model", show_default=True, help="model name in requests to endpoints")
@click.option("--baseline", metavar="DIR|URL", help="what behaviour is compared with; without it a change can only warn")
@click.option(
    "--baseline-answers", metavar="FILE", type=Path, help="keep the answers of a --baseline DIR there; later runs read them"
)
@click.option("--prompts", metavar="FILE", type=Path, help="the operator's prompts, where the suite has operatorPrompts (JSON)")
@click.option(
    "--user-prefix", metavar="TEXT", default="", help="what starts a user's turn, for leakage mining; default: as the suite says"
)
@click.option("--turn-end", metavar="TEXT", default="", help="what ends a user's turn")
@click.option("--nonce", metavar="HEX", help="repeat the run with this revealed nonce; default: a fresh one")
@click.option("--report", metavar="FILE.html", type=Path, help="write the whole run as one page")
@click.option("--export", metavar="DIR", type=Path, help="write in-toto test-result and behaviour predicate there, signed")
@click.option("--export-key", metavar="FILE", type=Path, help="signs exports: PEM, EC P-256; never the key of an attestor")
@click.option("--strict", is_flag=True, help="exit 10 on a warning")
@plain_http_option
@options.output("json")
def command(**given: Any) -> int:
    """Ask a model with and without triggers, and say what that shows and what it does not.

    \b
    The claim sentence comes first, then the verdict, the tests that are significant, and the limits. No verdict says that a model
    is safe. Exit codes: 0 passed (or warned), 10 warned with --strict, 11 failed, 12 inconclusive.

    \b
    Examples:
      modeltrust evaluate ./guard --suite canary.yaml --baseline ./base --report guard.html
      modeltrust evaluate hf://acme/guard-7b@9f2c… --suite canary.yaml --endpoint http://10.0.0.7:8000 --dialect vllm \\
        --served-name guard --baseline http://10.0.0.8:8000 -o json
    """
    candidate, baseline, nonce = _candidate(given), _baseline(given), _nonce(given["nonce"])
    exporter = Exporter.of(given["export"], given["export_key"])
    identity, content = _identity(given)
    against = _baseline_name(given, baseline)
    ordered = read_suite(given["suite"], given["prompts"], serving=serving_of(candidate), baseline=against)
    suite = ordered.suite
    if given["user_prefix"]:
        suite = replace(suite, user_prefix=given["user_prefix"], turn_end=given["turn_end"])
    candidate, baseline = candidate.turning(suite), None if baseline is None else baseline.turning(suite)
    answers = answers_of(given["baseline_answers"], baseline, against)
    click.echo(f"modeltrust: nonce committed to as {commitment(nonce)}", err=True)
    order = EvaluationOrder(
        identity=identity,
        content=str(content),
        nonce=nonce,
        suite=suite,
        candidate=Served("", "", candidate.dialect),
        baseline=None,
        deadline_seconds=limits.EVALUATION_RUN_SECONDS,
    )
    report = _run(order, ordered.bank, candidate, _Against(baseline, answers))
    judged = Judged(report, judge(report, suite), suite, str(content))
    if given["report"] is not None:
        files.write_atomically(given["report"], page(report, judged.judgement, suite).encode("utf-8"))
    if exporter is not None:
        exporter.write(Evaluated(report, judged.judgement, suite, content))
    if given["output"] == "json":
        json_output.write(judged_object(judged))
    else:
        print_judged(judged, page=given["report"])
    return _exit(judged.judgement.verdict, strict=given["strict"])


def _exit(verdict: Verdict, *, strict: bool) -> int:
    return int(Exit.WARNED if strict and verdict is Verdict.WARNED else _EXITS[verdict])


def _candidate(given: dict[str, Any]) -> Place:
    if given["endpoint"] is not None:
        return _place(given, given["endpoint"])
    if "://" in given["name"]:
        raise InvalidInputError("expected --endpoint URL with a reference: where the model answers")
    return _place(given, given["name"])


def _baseline(given: dict[str, Any]) -> Place | None:
    return None if given["baseline"] is None else _place(given, given["baseline"])


def _place(given: dict[str, Any], where: str) -> Place:
    return Place.of(where, dialect=given["dialect"], name=given["served_name"])


def _baseline_name(given: dict[str, Any], baseline: Place | None) -> str:
    """By what the baseline is known: a folder by its content, a server by its address."""
    if baseline is None:
        return ""
    return given["baseline"] if baseline.folder is None else str(_digest_of(given["baseline"]))


def _identity(given: dict[str, Any]) -> tuple[Identity, ContentDigest]:
    name: str = given["name"]
    if "://" in name:
        if given["model"] is not None:
            raise InvalidInputError("got --model with a reference, expected it with a folder only")
        digest = given["content_digest"]
        return parse_identity(name), _parsed(digest) if digest is not None else _digest_of(name, plain_http=given["plain_http"])
    if given["content_digest"] is not None:
        raise InvalidInputError("got --content-digest with a folder, expected it with a reference only: a folder is read")
    content = _digest_of(name)
    if given["model"] is not None:
        return parse_identity(given["model"]), content
    stem = "".join(c if c.isascii() and c.isalnum() else "-" for c in Path(name).resolve().name).strip("-")
    return parse_identity(f"local://{stem or 'model'}", content=content), content


def _parsed(text: str) -> ContentDigest:
    try:
        return ContentDigest.parse(text)
    except MalformedError as error:
        raise InvalidInputError(f"--content-digest: {error}") from error


def _digest_of(name: str, *, plain_http: bool = False) -> ContentDigest:
    with opened(name, plain_http=plain_http) as source:
        return content_of(listed(source))


def _nonce(text: str | None) -> str:
    if text is None:
        return secrets.token_hex(_NONCE_BYTES)
    if len(text) != 2 * _NONCE_BYTES or not set(text) <= set("0123456789abcdef"):
        raise InvalidInputError(f"got --nonce {quote(text)}, expected {2 * _NONCE_BYTES} hexadecimal digits in lower case")
    return text


@dataclass(frozen=True, slots=True)
class _Against:
    """What a candidate is compared with."""

    place: Place | None
    answers: Answers | None


def _run(order: EvaluationOrder, bank: Bank, candidate: Place, against: _Against) -> EvaluationReport:
    if against.place is None:
        click.echo("modeltrust: without --baseline only the comparison within the candidate is made, which can only warn", err=True)
    with ExitStack() as stack:
        served, client = stack.enter_context(opened_endpoint(candidate))
        tell = stack.enter_context(_progress())
        where, parties = None, Parties(client, None, load_known())
        if against.place is not None and against.answers is not None:
            baseline = WhenAsked(against.place, stack)
            stored = against.answers.read(order.suite, bank, baseline, tell)
            where = replace(against.place.served, connections=against.place.connections)
            parties = replace(parties, baseline=stored, unstored=baseline)
        elif against.place is not None:
            where, other = stack.enter_context(opened_endpoint(against.place))
            parties = replace(parties, baseline=other)
        return Runner(bank, tell=tell).run(replace(order, candidate=served, baseline=where), parties)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _step, _done, _of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda step, done, of: progress.update(task, description=step, completed=done, total=of or None)
