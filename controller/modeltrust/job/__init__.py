"""What Jobs and init containers run: one command each, with little installed."""
