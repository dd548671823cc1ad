"""Builders of models: the small real one that everything signs, serves and tampers with."""

from pathlib import Path

from modeltrust.cli.sample_model import sample_files, write_sample_model

__all__ = ["sample_files", "write_model"]


def write_model(folder: Path, *, seed: int = 0) -> None:
    """Write a small real model that inspects clean: safetensors, config, tokenizer, chat template, generation config, README."""
    write_sample_model(folder, seed=seed)
