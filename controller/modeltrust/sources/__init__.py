"""Where models are: one implementation per kind of place."""
