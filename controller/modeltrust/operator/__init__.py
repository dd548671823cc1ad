"""The operator: from a request to signed evidence, and from a revocation to denials. Thin kopf handlers; parses nothing foreign."""
