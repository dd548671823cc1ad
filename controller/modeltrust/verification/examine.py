"""The worker's half."""
