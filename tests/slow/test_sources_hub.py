"""The hub simulator against huggingface_hub itself: what our tests believe of a hub is what the real client believes."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import TOKEN, File, Hub, serving_hub

pytestmark = pytest.mark.slow

WEIGHTS = bytes(range(256)) * 4096
FILES = {"config.json": File(b'{"model_type": "llama"}'), "sub/model.safetensors": File(WEIGHTS, lfs=True, xet=True)}
CLIENT = """
import hashlib, json, sys
from pathlib import Path
from huggingface_hub import HfApi, errors, snapshot_download
name, commit, token = sys.argv[1:4]
api = HfApi(token=token or False)
answers = {}
try:
    info = api.model_info(name, revision=commit)
    answers["sha"] = info.sha
    answers["tree"] = sorted(
        [e.path, e.size, e.blob_id, e.lfs.sha256 if e.lfs else None, e.xet_hash]
        for e in api.list_repo_tree(name, revision=commit, recursive=True) if hasattr(e, "blob_id"))
    folder = Path(snapshot_download(name, revision=commit, token=token or False, local_dir="copy"))
    answers["files"] = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*") if p.is_file() and ".cache" not in p.parts}
except errors.HfHubHTTPError as error:
    answers["error"] = type(error).__name__
print(json.dumps(answers))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub(Hub(page=2)) as serving:
        yield serving


def ask(hub: Hub, tmp_path: Path, name: str, commit: str, token: str = "") -> str:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))  # a client of its own, which remembers nothing
    folder.mkdir()
    (folder / "client.py").write_text(CLIENT)
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    done = subprocess.run(
        [sys.executable, "client.py", name, commit, token],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("resolve_cache", [True, False])
def test_the_real_client_lists_and_downloads_the_simulated_hub(hub: Hub, tmp_path: Path, *, resolve_cache: bool) -> None:
    hub.resolve_cache = resolve_cache
    commit = hub.model("acme/guard").commit(dict(FILES))
    answers = json.loads(ask(hub, tmp_path, "acme/guard", commit))
    assert answers["sha"] == commit
    assert [(path, size, sha256) for path, size, _, sha256, _ in answers["tree"]] == [
        ("config.json", len(FILES["config.json"].data), None),
        ("sub/model.safetensors", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest()),
    ]
    assert answers["files"] == {path: file.sha256 for path, file in FILES.items()}


def test_the_real_client_sees_the_errors_that_the_real_hub_gives(hub: Hub, tmp_path: Path) -> None:
    repository = hub.model("acme/guard")
    commit = repository.commit(dict(FILES))
    assert "RevisionNotFoundError" in ask(hub, tmp_path, "acme/guard", "0" * 40)
    assert "RepositoryNotFoundError" in ask(hub, tmp_path, "acme/other", commit)
    repository.private = True
    assert "RepositoryNotFoundError" in ask(hub, tmp_path, "acme/guard", commit)
    assert "error" not in ask(hub, tmp_path, "acme/guard", commit, TOKEN)
    repository.private, repository.gated = False, "manual"
    assert "GatedRepoError" in ask(hub, tmp_path, "acme/guard", commit, TOKEN)
    hub.accepted.add("acme/guard")
    assert "error" not in ask(hub, tmp_path, "acme/guard", commit, TOKEN)
