"""The requirement formats."""
