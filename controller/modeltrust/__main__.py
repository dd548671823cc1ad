"""Dispatch by first word: each branch imports only what it runs."""

import sys


def main() -> int:
    """Run the program named by the first argument; returns the exit code."""
    if sys.argv[1:2] == ["webhook"]:
        from modeltrust.webhook.run import main as webhook  # noqa: PLC0415 - the webhook never imports the command line

        return webhook(sys.argv[2:])
    if sys.argv[1:3] == ["job", "verify-at-load"]:
        from modeltrust.job.verify_at_load import main as verify_at_load  # noqa: PLC0415 - the standard library alone

        return verify_at_load(sys.argv[3:])
    from modeltrust.cli.main import main as cli  # noqa: PLC0415 - and the reverse

    return cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
