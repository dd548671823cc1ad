"""The command line."""


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    raise SystemExit(f"not built yet: {arguments}")
