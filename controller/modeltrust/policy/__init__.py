"""What is required, and whether it holds: pure functions from facts to findings."""
