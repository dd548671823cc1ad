"""How a process of ours begins and ends: its flags over a settings file, and its exit code."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from modeltrust.config import Settings
from modeltrust.domain.errors import InvalidInputError, ModelTrustError

S = TypeVar("S", bound=Settings)


def read_flags(
    settings: type[S], arguments: list[str], *, program: str, about: str, values: Mapping[str, str], switches: Mapping[str, str]
) -> S:
    """Flags, over a settings file.

    Args:
        settings: of the process.
        arguments: flags, without the program's name.
        program: its name after ``modeltrust``.
        about: one sentence for ``--help``.
        values: flags with a value, and what is said of each.
        switches: flags without one.

    Raises:
        InvalidInputError: a setting is missing or makes no sense.
        SystemExit: unknown flags, or help was asked for.
    """
    parser = argparse.ArgumentParser(prog=f"modeltrust {program}", description=about, allow_abbrev=False)
    for name, said in switches.items():
        parser.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=said)
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in YAML; flags win")
    for name, said in values.items():
        parser.add_argument(name, metavar="VALUE", default=argparse.SUPPRESS, help=said)
    flags = vars(parser.parse_args(arguments))
    return settings.read(flags, flags.pop("config"))


def exit_code(program: str, run: Callable[[], int]) -> int:
    """What a process ends with.

    Args:
        program: its name after ``modeltrust``.
        run: reads its settings and serves until told to stop.

    Returns:
        What it returns; 2 for settings that cannot be used, 1 when serving is impossible; why stands on stderr.
    """
    try:
        return run()
    except ModelTrustError as error:
        sys.stderr.write(f"modeltrust {program}: {error}\n")
        return 2 if isinstance(error, InvalidInputError) else 1
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
