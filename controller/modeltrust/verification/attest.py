"""The key-holder's half."""
