"""The composition roots, one per flow."""
