"""Building the image without a Docker engine, and what is in it."""
