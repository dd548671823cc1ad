"""`modeltrust job evaluate --order FILE [--prompts FILE]`: ask the engines, print what was measured as the last line of the log.

The runner of an evaluation, in a Pod of its own without key, token or way out: it talks to servers of a model that nobody trusts
yet. It measures and never judges; whoever ordered computes the verdict again (attack C6).
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from modeltrust.api.evaluation_work import decode_evaluation_order, encode_evaluation_report
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, ModelTrustError, UnavailableError, quote
from modeltrust.domain.evaluation import EvaluationOrder, EvaluationReport, Served
from modeltrust.evaluation.bank import Bank, with_private
from modeltrust.evaluation.openai import Client, port_of
from modeltrust.wiring.bank import load_bank
from modeltrust.wiring.confinement import Confine, confine
from modeltrust.wiring.landlock import keeps_ports


class Exit(IntEnum):
    """Fixed exit codes: 42 and the like would be verdicts, and a runner gives none."""

    MEASURED = 0  # a report was printed, whatever it says
    INTERNAL = 1
    USAGE = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInputError(message)


def main(arguments: list[str], *, patience: float = limits.EVALUATION_START_SECONDS, confine: Confine = confine) -> int:
    """Run one evaluation.

    Args:
        arguments: after ``job evaluate``.
        patience: seconds that the engines may take to begin to answer.
        confine: holds the process before it talks to an engine.

    Returns:
        One of the fixed exit codes; the last line on stdout is the report, or why there is none.
    """
    try:
        order, bank = _parse(arguments)
        engines = (order.candidate,) if order.baseline is None else (order.candidate, order.baseline)
        confined = confine(cpu_seconds=limits.EVALUATION_SECONDS, connects=[port_of(engine) for engine in engines])
        _say("started", model=str(order.identity), suite=order.suite.name, confined=confined, ports_kept=keeps_ports())
        report = _run(order, bank, patience)
        sys.stdout.write(encode_evaluation_report(report).decode("utf-8") + "\n")
        sys.stdout.flush()
    except ModelTrustError as error:
        sys.stdout.write(f"{error}\n")
        return int(Exit.USAGE)
    except Exception as error:  # noqa: BLE001 - whatever happens, the log says why and the run is inconclusive
        sys.stdout.write(f"{type(error).__name__}: {quote(error)}\n")
        return int(Exit.INTERNAL)
    return int(Exit.MEASURED)


def _parse(arguments: list[str]) -> tuple[EvaluationOrder, Bank]:
    parser = _Parser(prog="modeltrust job evaluate", description=__doc__, add_help=False)
    parser.add_argument("--order", metavar="FILE", required=True, type=Path)
    parser.add_argument("--prompts", metavar="FILE", type=Path)
    options = parser.parse_args(arguments)
    order = decode_evaluation_order(_read(options.order, limits.EVALUATION_ORDER_BYTES))
    bank = load_bank()
    if options.prompts is not None:
        bank = with_private(bank, _read(options.prompts, limits.EVALUATION_PRIVATE_BYTES))
    if (bank.digest, bank.private_digest) != (order.suite.bank, order.suite.prompts):
        raise MalformedError("got an order for another probe bank or other prompts than there are here")
    return order, bank


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise InvalidInputError(f"cannot read {quote(path)}: {type(error).__name__}") from error


def _run(order: EvaluationOrder, bank: Bank, patience: float) -> EvaluationReport:
    from modeltrust.evaluation.run import Parties, Runner  # noqa: PLC0415 - numpy starts threads: not before this process is held
    from modeltrust.wiring.probes import load_known  # noqa: PLC0415 - the same

    deadline = time.monotonic() + order.deadline_seconds
    with ExitStack() as stack:
        candidate = _opened(stack, order.candidate, deadline, patience)
        baseline = None if order.baseline is None else _opened(stack, order.baseline, deadline, patience)
        runner = Runner(bank, tell=lambda step, done, of: _say("progress", step=step, done=done, of=of))
        return runner.run(order, Parties(candidate, baseline, load_known()))


def _opened(stack: ExitStack, served: Served, deadline: float, patience: float) -> Client:
    """A client of an engine that answers: engines load a model for minutes before they listen."""
    client = Client(served, deadline=deadline)
    stack.callback(client.close)
    until = min(deadline, time.monotonic() + patience)
    while True:
        try:
            client.ask("Hello", tokens=1)
        except MalformedError as error:
            _say("engine", url=served.url, problem=str(error))  # it answers, and will answer no better: the preflight says the same
            return client
        except UnavailableError as error:
            if time.monotonic() >= until:
                _say("engine", url=served.url, problem=str(error))
                return client  # the preflight says why the run shows nothing
        else:
            return client
        time.sleep(limits.EVALUATION_START_PAUSE_SECONDS)


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()
