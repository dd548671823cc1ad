"""The webhook process."""


def main(arguments: list[str]) -> int:
    """Serve until told to stop; returns the exit code."""
    raise SystemExit(f"not built yet: {arguments}")
