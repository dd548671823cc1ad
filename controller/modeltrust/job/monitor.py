"""`modeltrust job monitor --order FILE [--prompts FILE] [--fingerprint FILE]`: one round of probes against a live server.

The last line is what was measured: a report of distances, or, where the order names no fingerprint, the fingerprint itself as
base64. Which of both streams moves, and how far, is computed by whoever ordered (attack C6).
"""

import argparse
import base64
import json
import sys
import time
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from modeltrust.api.evaluation_work import decode_monitor_order, encode_monitor_report
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, ModelTrustError, quote
from modeltrust.domain.monitoring import MonitorOrder
from modeltrust.evaluation.bank import Bank, with_private
from modeltrust.evaluation.fingerprint import decode_fingerprint, encode_fingerprint
from modeltrust.evaluation.openai import Client, port_of
from modeltrust.evaluation.reprobe import Prober
from modeltrust.wiring.bank import load_bank
from modeltrust.wiring.confinement import Confine, confine
from modeltrust.wiring.landlock import keeps_ports


class Exit(IntEnum):
    """Fixed exit codes; none is a verdict."""

    MEASURED = 0
    INTERNAL = 1
    USAGE = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInputError(message)


def main(arguments: list[str], *, confine: Confine = confine) -> int:
    """Ask one server.

    Args:
        arguments: after ``job monitor``.
        confine: holds the process before it talks to the server.

    Returns:
        One of the fixed exit codes; the last line on stdout is the report, the fingerprint, or why there is neither.
    """
    try:
        order, bank, recorded = _parse(arguments)
        confined = confine(cpu_seconds=limits.MONITOR_SECONDS, connects=[port_of(order.served)])
        _say("started", model=str(order.identity), suite=order.suite.name, confined=confined, ports_kept=keeps_ports())
        sys.stdout.write(_asked(order, bank, recorded) + "\n")
        sys.stdout.flush()
    except ModelTrustError as error:
        sys.stdout.write(f"{error}\n")
        return int(Exit.USAGE)
    except Exception as error:  # noqa: BLE001 - whatever happens, the log says why and no stream moves
        sys.stdout.write(f"{type(error).__name__}: {quote(error)}\n")
        return int(Exit.INTERNAL)
    return int(Exit.MEASURED)


def _parse(arguments: list[str]) -> tuple[MonitorOrder, Bank, bytes]:
    parser = _Parser(prog="modeltrust job monitor", description=__doc__, add_help=False)
    parser.add_argument("--order", metavar="FILE", required=True, type=Path)
    parser.add_argument("--prompts", metavar="FILE", type=Path)
    parser.add_argument("--fingerprint", metavar="FILE", type=Path)
    options = parser.parse_args(arguments)
    order = decode_monitor_order(_read(options.order, limits.EVALUATION_ORDER_BYTES))
    bank = load_bank()
    if options.prompts is not None:
        bank = with_private(bank, _read(options.prompts, limits.EVALUATION_PRIVATE_BYTES))
    if (bank.digest, bank.private_digest) != (order.suite.bank, order.suite.prompts):
        raise MalformedError("got an order for another probe bank or other prompts than there are here")
    if bool(order.fingerprint) != (options.fingerprint is not None):
        raise InvalidInputError("expected --fingerprint FILE where the order names one, and nowhere else")
    return order, bank, b"" if options.fingerprint is None else _read(options.fingerprint, limits.MONITOR_FINGERPRINT_BYTES)


def _asked(order: MonitorOrder, bank: Bank, recorded: bytes) -> str:
    told = [time.monotonic()]

    def tell(done: int, of: int) -> None:
        if time.monotonic() - told[0] >= limits.EVALUATION_PROGRESS_SECONDS:
            told[0] = time.monotonic()
            _say("progress", done=done, of=of)

    with closing(Client(order.served, deadline=time.monotonic() + order.deadline_seconds)) as client:
        prober = Prober(client, bank, tell=tell)
        if not order.fingerprint:
            return base64.b64encode(encode_fingerprint(prober.record(order))).decode("ascii")
        report = prober.probe(order, decode_fingerprint(recorded, digest=order.fingerprint))
        return encode_monitor_report(report).decode("utf-8")


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise InvalidInputError(f"cannot read {quote(path)}: {type(error).__name__}") from error


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()
