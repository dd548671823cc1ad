"""The Sigstore bundle, parsed strictly."""
