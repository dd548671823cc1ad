"""The one decision, and its words."""
