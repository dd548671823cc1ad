"""One self-contained page per run, for the person who decides: what was shown and what was not comes first."""
