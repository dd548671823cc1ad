"""From an order to a signed statement, split by privilege."""
