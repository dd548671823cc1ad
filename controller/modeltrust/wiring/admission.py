"""The light composition root: what decides."""
