from pathlib import Path

import pytest

from modeltrust.domain.errors import UnavailableError
from modeltrust.kube.access import Access
from modeltrust.kube.client import ApiServer, GoneError
from tests.support.api_server import ApiServerSimulator

PATH = "/apis/modeltrust.dev/v1alpha1/modelattestations"


def test_an_object_is_created_once(tmp_path: Path) -> None:
    simulator = ApiServerSimulator()
    simulator.existing.add("there")
    with simulator.serving(tmp_path) as access:
        api = ApiServer(access)

        assert api.create(PATH, b'{"metadata": {"name": "new"}}') is True
        assert api.create(PATH, b'{"metadata": {"name": "there"}}') is False


@pytest.mark.parametrize("status", [400, 403, 422, 429, 500])
def test_a_refused_creation_is_an_error(status: int, tmp_path: Path) -> None:
    simulator = ApiServerSimulator()
    simulator.faults = [status]
    with simulator.serving(tmp_path) as access, pytest.raises(UnavailableError, match=str(status)):
        ApiServer(access).create(PATH, b'{"metadata": {"name": "new"}}')


def test_410_is_told_apart(tmp_path: Path) -> None:
    simulator = ApiServerSimulator()
    simulator.faults = [410]
    with simulator.serving(tmp_path) as access, pytest.raises(GoneError):
        ApiServer(access).get(PATH, {})


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    simulator = ApiServerSimulator()
    simulator.faults = [307]
    with simulator.serving(tmp_path) as access, pytest.raises(UnavailableError, match="307"):
        ApiServer(access).get(PATH, {})
    assert len(simulator.requests) == 1


def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    simulator = ApiServerSimulator()
    with simulator.serving(tmp_path) as access:
        api = ApiServer(access)
        assert access.token_file is not None
        access.token_file.write_text("an-old-token")
        with pytest.raises(UnavailableError, match="401"):
            api.get(PATH, {})
        access.token_file.write_text("a-token")

        assert b"items" in api.get(PATH, {})


def test_a_server_that_another_authority_vouches_for_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with ApiServerSimulator().serving(tmp_path / "a") as real, ApiServerSimulator().serving(tmp_path / "b") as other:
        mixed = Access(real.url, other.ca, token_file=real.token_file)

        with pytest.raises(UnavailableError):
            ApiServer(mixed).get(PATH, {})


def test_nobody_listening_is_an_error(tmp_path: Path) -> None:
    with ApiServerSimulator().serving(tmp_path) as access:
        pass

    with pytest.raises(UnavailableError):
        ApiServer(access).get(PATH, {})


def test_a_missing_token_file_is_an_error(tmp_path: Path) -> None:
    with ApiServerSimulator().serving(tmp_path) as access:
        assert access.token_file is not None
        access.token_file.unlink()

        with pytest.raises(UnavailableError):
            ApiServer(access).get(PATH, {})
