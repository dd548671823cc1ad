"""Everything that is generated and committed: written by `make generate`, compared by `make lint`.

Each generator is a function that returns {path: text}.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests import (
    generated_crds,
    generated_extraction,
    generated_formats,
    generated_requirements,
    generated_troubleshooting,
    generated_webhook_rules,
)
from tests.support import content_digest

ROOT = Path(__file__).parent.parent
GENERATORS: tuple[Callable[[], Mapping[str, str]], ...] = (
    generated_crds.generate,
    content_digest.generate,
    generated_extraction.generate,
    generated_formats.generate,
    generated_requirements.generate,
    generated_troubleshooting.generate,
    generated_webhook_rules.generate,
)


def main(arguments: list[str]) -> int:
    """Write or, with --check, compare; returns the exit code."""
    check = "--check" in arguments
    stale = 0
    for generator in GENERATORS:
        for name, text in generator().items():
            path = ROOT / name
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            stale += 1
            if check:
                sys.stderr.write(f"{name} is not what `make generate` writes\n")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                sys.stderr.write(f"wrote {name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
