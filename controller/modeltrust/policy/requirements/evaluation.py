"""The requirement evaluation."""
