"""The requirement pinned."""
