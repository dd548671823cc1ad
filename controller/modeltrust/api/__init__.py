"""Every document that crosses our border, except the statement."""
