"""Our answer beside the reference implementation's about the same input: the rows of tests/unit/signing/test_oracle.py."""
