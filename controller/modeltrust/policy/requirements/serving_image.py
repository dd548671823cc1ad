"""The requirement serving_image."""
