"""What is in a model, file by file: finds, never judges."""
