import base64
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeltrust.domain.errors import InvalidInputError
from modeltrust.kube.access import Access, from_kubeconfig, in_cluster
from tests.support.api_server import certificate_files

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SERVER = "https://10.0.0.1:6443"
ENCODED = base64.b64encode(CA.encode()).decode()
FILES = {"client-certificate": "client.pem", "client-key": "client.key"}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kubelet puts into a Pod."""
    (tmp_path / "token").write_text("secret-token")
    (tmp_path / "ca.crt").write_text(CA)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


def kubeconfig(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **changes: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "elsewhere", "context": {"cluster": "other", "user": "other"}},
            {"name": "here", "context": {"cluster": "ours", "user": "us"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "http://evil.example"}},
            {"name": "ours", "cluster": {"server": SERVER, "certificate-authority-data": ENCODED, **(cluster or {})}},
        ],
        "users": [{"name": "other", "user": {}}, {"name": "us", "user": FILES if user is None else user}],
        **changes,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_pod_reaches_the_server_with_the_token_that_is_mounted(account: Path) -> None:
    assert in_cluster(account) == Access("https://10.96.0.1:443", CA, token_file=account / "token")


def test_an_address_of_version_6_stands_in_brackets(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert in_cluster(account).url == "https://[fd00::1]:443"


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
@pytest.mark.parametrize("value", [None, ""])
def test_outside_a_pod_there_is_no_account(name: str, value: str | None, account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInputError, match="expected to run in a Pod"):
        in_cluster(account)


def test_a_pod_that_mounts_no_token_has_no_account(account: Path) -> None:
    (account / "token").unlink()
    with pytest.raises(InvalidInputError, match="expected to run in a Pod"):
        in_cluster(account)


def test_a_pod_without_the_authority_has_no_account(account: Path) -> None:
    (account / "ca.crt").unlink()
    with pytest.raises(InvalidInputError, match=r"cannot read .*ca\.crt"):
        in_cluster(account)


def test_the_place_where_the_kubelet_mounts_is_where_it_looks() -> None:
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        pytest.skip("this is a Pod")
    with pytest.raises(InvalidInputError):
        in_cluster()


def test_only_the_current_context_counts(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path))
    assert access == Access(SERVER, CA, certificate=tmp_path / "client.pem", key=tmp_path / "client.key")


def test_a_slash_at_the_end_of_the_server_is_dropped(tmp_path: Path) -> None:
    assert from_kubeconfig(kubeconfig(tmp_path, cluster={"server": SERVER + "/"})).url == SERVER


def test_a_token_file_is_named_and_read_later_so_that_it_can_be_renewed(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, user={"tokenFile": "/run/token"}))
    assert (access.token_file, access.certificate, access.key) == (Path("/run/token"), None, None)


def test_an_authority_in_a_file_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CA)
    document = yaml.safe_load(kubeconfig(tmp_path).read_text())
    document["clusters"][1]["cluster"] = {"server": SERVER, "certificate-authority": "ca.pem"}
    path = kubeconfig(tmp_path, clusters=document["clusters"])
    assert from_kubeconfig(path).ca == CA


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        ({"server": "http://10.0.0.1"}, "expected https://"),
        ({"server": "10.0.0.1:6443"}, "expected https://"),
        ({"server": ""}, "expected https://"),
        ({"server": None}, "expected https://"),
        ({"server": "HTTPS://10.0.0.1"}, "expected https://"),
        ({"insecure-skip-tls-verify": True}, "expected a certificate authority"),
        ({"certificate-authority-data": "no base64!"}, "no base64"),
        ({"certificate-authority-data": base64.b64encode(b"\xff\xfe").decode()}, "no base64"),
        ({"certificate-authority-data": 7}, "expected a kubeconfig"),
    ],
)
def test_a_server_that_cannot_be_trusted_is_refused(cluster: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=why):
        from_kubeconfig(kubeconfig(tmp_path, cluster=cluster))


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({}, "nothing"),
        ({"exec": {"command": "aws"}}, "exec"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"token": "hunter2\r\nX-Evil: 1"}, "token"),
        ({"token": {"hunter2": 1}}, "token"),
        ({"username": "admin", "password": "hunter2"}, "password, username"),
        ({"client-certificate": "client.pem"}, "client-certificate"),
        ({"client-key": "client.key"}, "client-key"),
        ({"client-certificate-data": "aGk="}, "client-certificate-data"),
    ],
)
def test_another_kind_of_credential_is_refused_by_name_and_never_by_value(user: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=f"got a user with {named}") as caught:
        from_kubeconfig(kubeconfig(tmp_path, user=user))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"current-context": ""},
        {"current-context": "gone"},
        {"current-context": None},
        {"current-context": ["here"]},
        {"contexts": None},
        {"contexts": []},
        {"contexts": [{"name": "here"}]},
        {"contexts": [{"name": "here", "context": "ours"}]},
        {"contexts": [{"name": "here", "context": {"cluster": "gone", "user": "us"}}]},
        {"contexts": [{"name": "here", "context": {"cluster": "ours", "user": "gone"}}]},
        {"contexts": {"here": {}}},
        {"clusters": "ours"},
        {"clusters": [{"name": "ours", "cluster": {"certificate-authority-data": ENCODED}}]},
        {"clusters": [{"name": "ours", "cluster": {"server": SERVER}}]},
        {"clusters": [{"name": "ours", "cluster": None}]},
        {"users": [{"name": "us", "user": None}]},
        {"users": [{"name": "us", "user": {"tokenFile": 7}}]},
        {"users": [{"user": FILES}]},
    ],
)
def test_a_kubeconfig_with_a_hole_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="expected a kubeconfig"):
        from_kubeconfig(kubeconfig(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "null", "7", "[]", "{", "a: b", "- x", "!!python/object:os.system x", "\x00", "a: &a [*a"])
def test_what_is_no_kubeconfig_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="expected a kubeconfig"):
        from_kubeconfig(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(InvalidInputError, match="expected a kubeconfig"):
        from_kubeconfig(path)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"cannot read .*missing.*No such file"):
        from_kubeconfig(tmp_path / "missing")


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        from_kubeconfig(tmp_path)


def test_an_authority_that_is_not_there_is_named(tmp_path: Path) -> None:
    clusters = [{"name": "ours", "cluster": {"server": SERVER, "certificate-authority": "gone.pem"}}]
    with pytest.raises(InvalidInputError, match=r"cannot read .*gone\.pem"):
        from_kubeconfig(kubeconfig(tmp_path, clusters=clusters))


@pytest.mark.parametrize("text", ["users:\n- user:\n    token: s3cret: x\n", 'token: "s3cret\n', "\ts3cret: x\n"])
def test_a_kubeconfig_that_is_no_yaml_is_refused_without_repeating_what_it_holds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"no YAML at line \d") as caught:
        from_kubeconfig(path)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_token_in_the_kubeconfig_is_sent_and_never_shown(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, user={"token": "hunter2"}))
    assert access.bearer() == "hunter2"
    assert "hunter2" not in repr(access)


def test_a_client_certificate_in_the_kubeconfig_is_used_and_never_shown(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    pair = {"client-certificate-data": certificate.read_bytes(), "client-key-data": key.read_bytes()}
    access = from_kubeconfig(kubeconfig(tmp_path, user={name: base64.b64encode(pem).decode() for name, pem in pair.items()}))
    access.authenticate(ssl.create_default_context())
    assert "PRIVATE KEY" not in repr(access)


def test_a_client_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, user={"client-certificate-data": "aGk=", "client-key-data": "aHVudGVyMg=="}))
    with pytest.raises(InvalidInputError, match="the client certificate cannot be used"):
        access.authenticate(ssl.create_default_context())


def test_another_context_than_the_current_one_can_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="expected https://"):
        from_kubeconfig(kubeconfig(tmp_path), context="elsewhere")
    with pytest.raises(InvalidInputError, match='got the context "nowhere"'):
        from_kubeconfig(kubeconfig(tmp_path), context="nowhere")


def _plugin(folder: Path, answer: str, code: int = 0) -> dict[str, Any]:
    script = folder / "plugin"
    script.write_text(f"#!/bin/sh\ntest -n \"$KUBERNETES_EXEC_INFO\" || exit 9\ncat <<'END'\n{answer}\nEND\nexit {code}\n")
    script.chmod(0o755)
    return {"exec": {"command": "./plugin", "apiVersion": "client.authentication.k8s.io/v1", "args": ["get"]}}


def test_a_credential_plugin_is_asked_where_the_caller_is_a_person(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user=_plugin(tmp_path, '{"status": {"token": "hunter2"}}'))
    assert from_kubeconfig(path, plugins=True).bearer() == "hunter2"
    with pytest.raises(InvalidInputError, match="got a user with exec"):
        from_kubeconfig(path)


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"status": 7}', '{"status": {"token": "x"}'])
def test_a_credential_plugin_that_answers_nonsense_is_an_error_in_one_line(answer: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        from_kubeconfig(kubeconfig(tmp_path, user=_plugin(tmp_path, answer)), plugins=True)


def test_a_credential_plugin_that_fails_is_an_error_without_its_output(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user=_plugin(tmp_path, '{"status": {"token": "hunter2"}}', code=3))
    with pytest.raises(InvalidInputError, match="credential plug-in") as caught:
        from_kubeconfig(path, plugins=True)
    assert "hunter2" not in str(caught.value)
