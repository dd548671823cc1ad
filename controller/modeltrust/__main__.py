"""Dispatch by first word: each branch imports only what it runs."""

import sys


def main() -> int:
    """Run the program named by the first argument; returns the exit code."""
    if sys.argv[1:2] == ["webhook"]:
        from modeltrust.webhook.run import main as webhook  # noqa: PLC0415 - the webhook never imports the command line

        return webhook(sys.argv[2:])
    from modeltrust.cli.main import main as cli  # noqa: PLC0415 - and the reverse

    return cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
