"""The command line: assembles the commands and turns our errors into one line and an exit code."""

import importlib
import os
import sys
from typing import Any

import click

from modeltrust import __version__
from modeltrust.cli.exits import Exit
from modeltrust.domain.errors import (
    InvalidInputError,
    MalformedError,
    ModelTrustError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
    quote,
)

# Each command is imported only when it runs: `modeltrust digest` needs no webhook, and `--help` needs nothing.
_COMMANDS = {
    "demo": "the whole thing on this machine, no cluster",
    "check": "would these workloads be admitted?",
    "refs": "what do these workloads load?",
    "inspect": "what is in this model, file by file?",
    "sign": "sign a model (OpenSSF Model Signing)",
    "verify": "check a model's signature against TrustedSigner objects",
    "digest": "the content digest of a model",
    "attest": "verify a model and print a signed ModelAttestation",
    "approve": "countersign a pinned model of somebody else",
    "pin": "write immutable revisions into manifests",
    "evaluate": "run an EvaluationSuite and say what it shows, and what not",
    "inventory": "what runs in a cluster, and what would be denied?",
    "why": "why is this workload denied, and what would make it pass?",
    "revoke": "nothing new starts with this model, content or signer",
    "doctor": "does the installation in this cluster work?",
    "webhook": "the admission webhook; what the image runs",
}

# Planned (design/cli.md): whoever has read of them gets a sentence rather than a guess, and --help does not promise them.
_LATER = ("bom", "operator", "job")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATER:
            raise InvalidInputError(f"{cmd_name}: not in this version; docs/limitations.md says what is")
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name == "webhook":
            return _webhook
        module = importlib.import_module(f"modeltrust.cli.{cmd_name}")
        command: Any = module.command
        return command if isinstance(command, click.Command) else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command("webhook", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _webhook(arguments: tuple[str, ...]) -> None:
    # Reached only through the group; `modeltrust webhook` itself is dispatched before the command line is imported.
    os.execv(sys.executable, [sys.executable, "-m", "modeltrust", "webhook", *arguments])  # noqa: S606 - our own program


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="modeltrust")
def _program() -> None:
    """May this model run here?

    Exit codes: 0 all well, 1 internal error, 2 usage, 3 nothing to check, 10 only warnings (--strict), 11 denied or failed,
    12 could not decide, 13 pending.
    """


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code; every error has been printed to stderr as one line.
    """
    try:
        result = _program.main(arguments, prog_name="modeltrust", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except (click.ClickException, click.Abort, BrokenPipeError) as error:
        return int(_stopped(error))
    except ModelTrustError as error:
        return _fail(str(error), _code(error))
    except Exception as error:
        if os.environ.get("MODELTRUST_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {quote(error)}; MODELTRUST_DEBUG=1 shows where", Exit.INTERNAL)
    return int(result) if isinstance(result, int) else int(Exit.OK)


def _stopped(error: click.ClickException | click.Abort | BrokenPipeError) -> Exit:
    if isinstance(error, click.ClickException):
        _fail(_usage(error), Exit.USAGE)
        return Exit.USAGE
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our output has gone: nothing to tell
    else:
        _fail("interrupted", Exit.INTERNAL)
    return Exit.INTERNAL


def _usage(error: click.ClickException) -> str:
    """Click's sentence in our form, with the way to the examples."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return "expected a command; `modeltrust --help` lists them"
    sentence = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "modeltrust"
    command = path.partition(" ")[2]
    return f"{command}: " * bool(command) + f"{sentence[:1].lower()}{sentence[1:]}; `{path} --help` shows examples"


def _code(error: ModelTrustError) -> Exit:
    match error:
        case InvalidInputError() | NotFoundError():
            return Exit.USAGE
        case MalformedError() | UntrustedError():
            return Exit.DENIED
        case UnavailableError():
            return Exit.UNDECIDED
        case _:
            return Exit.INTERNAL


def _fail(message: str, code: Exit) -> int:
    click.echo(f"modeltrust: {message}", err=True)
    return int(code)
