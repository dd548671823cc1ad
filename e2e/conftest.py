"""One control plane for the whole run, with our kinds and guards in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.control_plane import ControlPlane, running

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane with the CRDs and the guards applied."""
    with running(tmp_path_factory.mktemp("control-plane")) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        plane.kubectl("apply", "-f", str(ROOT / "charts" / "modeltrust" / "templates" / "guards.yaml"))
        yield plane
