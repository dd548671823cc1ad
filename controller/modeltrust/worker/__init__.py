"""The worker: a key-less, token-less process that examines one order in one child process."""
