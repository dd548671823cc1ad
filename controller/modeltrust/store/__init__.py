"""The trusted state in memory."""
