"""The requirement signature."""
