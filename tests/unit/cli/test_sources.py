"""REF at a hub: the same commands as for a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import server_context
from tests.support.command_line import CommandLine
from tests.support.hub import TOKEN, File, Hub, serving_hub

FILES = {"config.json": File(b'{"model_type": "llama"}'), "notes.txt": File(b"x", lfs=True)}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    context, _ = server_context(tmp_path, "localhost")
    with serving_hub(Hub(), tls=context) as running:
        for part in (running.front, running.store):
            part.address = part.address.replace("127.0.0.1", "localhost")
        yield running


def test_a_model_at_a_hub_has_the_digest_of_its_copy(command_line: CommandLine, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = hub.model("acme/guard")
    repository.private = True
    name = f"hf+{hub.url}/acme/guard@{repository.commit(dict(FILES))}"
    for path, file in FILES.items():
        command_line.write(f"copy/{path}", file.data.decode())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    options = ("--ca", "ca.pem", "--redirects-to", f"https://{hub.store.address}")

    refused = command_line("digest", name, *options)
    assert (refused.code != 0, "has no token" in refused.err) == (True, True)  # nobody asked for the variable to be read
    ran = command_line("digest", name, *options, "--token-env", "HF_TOKEN")
    assert (ran.code, ran.out) == (0, command_line("digest", "copy").out)
    assert command_line("inspect", name, *options, "--token-env", "HF_TOKEN").code in {0, 11}
    unset = command_line("digest", name, *options, "--token-env", "NOT_SET")
    assert (unset.code, "NOT_SET" in unset.err) == (2, True)
    assert TOKEN not in refused.err + ran.err + unset.err
