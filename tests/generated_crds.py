"""crds/: the CustomResourceDefinitions as the API's models write them; and the chart's copies, which an uninstall keeps."""

from modeltrust.api import crds

_METADATA = "\nmetadata:\n"
_KEPT = f"{_METADATA}  annotations:\n    helm.sh/resource-policy: keep\n"


def generate() -> dict[str, str]:
    """Path below the repository → text."""
    texts = crds.generate()
    kept = {name: text.replace(_METADATA, _KEPT, 1) for name, text in texts.items()}
    return {f"crds/{name}": text for name, text in texts.items()} | {
        f"charts/modeltrust/files/crds/{name}": text for name, text in kept.items()
    }
