"""crds/: the CustomResourceDefinitions as the API's models write them."""

from modeltrust.api import crds


def generate() -> dict[str, str]:
    """Path below the repository → text."""
    return {f"crds/{name}": text for name, text in crds.generate().items()}
