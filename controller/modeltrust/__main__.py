"""Dispatch by first word: each branch imports only what it runs."""

import sys


def main() -> int:  # noqa: PLR0911 - one for each process
    """Run the program named by the first argument; returns the exit code."""
    if sys.argv[1:2] == ["webhook"]:
        from modeltrust.webhook.run import main as webhook  # noqa: PLC0415 - the webhook never imports the command line

        return webhook(sys.argv[2:])
    if sys.argv[1:2] == ["operator"]:
        from modeltrust.operator.run import main as operator  # noqa: PLC0415 - holds a key, and parses nothing foreign

        return operator(sys.argv[2:])
    if sys.argv[1:2] == ["worker"]:
        from modeltrust.worker.run import main as worker  # noqa: PLC0415 - starts processes, and parses nothing itself

        return worker(sys.argv[2:])
    if sys.argv[1:3] == ["job", "examine"]:
        from modeltrust.job.examine import main as examine  # noqa: PLC0415 - heavy, and bounded from its first line

        return examine(sys.argv[3:])
    if sys.argv[1:3] == ["job", "verify-at-load"]:
        from modeltrust.job.verify_at_load import main as verify_at_load  # noqa: PLC0415 - the standard library alone

        return verify_at_load(sys.argv[3:])
    if sys.argv[1:3] == ["job", "fetch"]:
        from modeltrust.job.fetch import main as fetch  # noqa: PLC0415 - parses foreign bytes, and holds no key

        return fetch(sys.argv[3:])
    if sys.argv[1:3] == ["job", "evaluate"]:
        from modeltrust.job.evaluate import main as evaluate  # noqa: PLC0415 - talks to models that nobody trusts yet

        return evaluate(sys.argv[3:])
    if sys.argv[1:3] == ["job", "monitor"]:
        from modeltrust.job.monitor import main as monitor  # noqa: PLC0415 - talks to a live model server

        return monitor(sys.argv[3:])
    from modeltrust.cli.main import main as cli  # noqa: PLC0415 - and the reverse

    return cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
