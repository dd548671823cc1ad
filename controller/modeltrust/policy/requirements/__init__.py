"""One requirement, one file; they do not know each other."""
