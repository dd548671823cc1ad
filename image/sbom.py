"""A CycloneDX bill of materials of what this Python and its operating system's packages are: run inside the image's build.

The standard library alone; reproducible: no time and no random serial number, everything sorted.
"""

import json
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_DPKG = Path("/var/lib/dpkg/status")

Component = dict[str, Any]


def main() -> int:
    """Write the document to stdout."""
    components = [*_python(distributions()), *_debian(_DPKG)]
    json.dump(document(components), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
    return 0


def document(components: list[Component]) -> Component:
    """A CycloneDX 1.6 document."""
    ours = next((each for each in components if each["name"] == "modeltrust"), {"name": "modeltrust", "version": "0"})
    subject = {"type": "container", "name": "modeltrust", "version": ours["version"]}
    rest = sorted((each for each in components if each is not ours), key=lambda each: str(each["purl"]))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": subject}, "components": rest}


def _python(installed: Any) -> list[Component]:
    found = {_name(each): each for each in installed}
    return [
        {"type": "library", "name": name, "version": each.version, "purl": f"pkg:pypi/{name}@{each.version}", **_license(each)}
        for name, each in found.items()
    ]


def _name(distribution: Distribution) -> str:
    return str(distribution.metadata["Name"]).lower().replace("_", "-").replace(".", "-")


def _license(distribution: Distribution) -> Component:
    said = distribution.metadata.get("License-Expression")
    return {"licenses": [{"expression": said}]} if said else {}


def _debian(status: Path) -> list[Component]:
    if not status.exists():
        return []
    found = []
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Status") == "install ok installed":
            name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
            purl = f"pkg:deb/debian/{name}@{version}?arch={machine}"
            found.append({"type": "library", "name": name, "version": version, "purl": purl})
    return found


if __name__ == "__main__":
    sys.exit(main())
