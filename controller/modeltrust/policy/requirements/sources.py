"""The requirement sources."""
