"""modeltrust.dev/v1alpha1: what people write, one file per kind (design/api.md)."""
