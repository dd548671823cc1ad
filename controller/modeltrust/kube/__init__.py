"""The API server: who we are to it, and what we watch there."""
