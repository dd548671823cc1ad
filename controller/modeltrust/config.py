"""Settings of each process, as flags and files state them."""

from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_SETTINGS_BYTES = 64 * 1024  # a settings file has a dozen lines


def _with_a_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > _LAST_PORT:
        raise ValueError(f"expected a port of at most {_LAST_PORT}")
    return address


_LAST_PORT = 65_535
_Address = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):[0-9]{1,5}$"), AfterValidator(_with_a_port)]
_Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


_Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
_NAMESPACES = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(,[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*)?$"
_ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class Settings(BaseModel):
    """What one process needs to know: flags, over a file that states the same names in camel case."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def read(cls, flags: dict[str, Any], file: Path | None) -> Self:
        """Join a settings file with flags; flags win.

        Raises:
            InvalidInputError: a setting is missing, unknown or makes no sense; names it, and its flag.
        """
        try:
            return cls.model_validate({**_load(file, cls), **flags})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(to_camel(str(part)) for part in first["loc"])
            flag = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
            where = f"{quote(name)} (--{flag})" if name else "settings"
            raise InvalidInputError(f"{where}: {first['msg'].lower()}") from error


class WebhookSettings(Settings):
    """What `modeltrust webhook` needs to know; a file states the same names in camel case.

    Attributes:
        trust: folder with policies, signers, attestations … and attestors.yaml; or, in a cluster:
        attestors: the attestor file; everything else is watched at the API server.
        kubeconfig: how to reach the API server; without it, as the Pod's service account.
        tls_cert: PEM, leaf first; watched.
        tls_key: PEM, unencrypted; watched.
        client_ca: PEM of the authorities of clients; then nobody without a certificate of theirs is answered on the TLS port, and
            the kubelet's probes use the port of the metrics.
        listen: ``host:port`` of the TLS port.
        reuse_port: share the port with another webhook process, for replacing one by the next on one host: listens when it is
            ready, and no more once it drains. Without it a second process by mistake cannot start, which is what most want.
        metrics_listen: ``host:port`` of the metrics, in the clear; empty turns them off.
        unmatched: what follows where no enforcing policy covers a model.
        inject_image: of the verifier that is injected into Pods, by digest; without it nothing is, and VerifiedAtLoad never holds.
        poll_seconds: between two looks at the trust folder.
        drain_seconds: still answering after SIGTERM.
    """

    trust: Path | None = None
    attestors: Path | None = None
    kubeconfig: Path | None = None
    tls_cert: Path
    tls_key: Path
    client_ca: Path | None = None
    listen: _Address = "0.0.0.0:9443"
    reuse_port: bool = False
    metrics_listen: _Address | Literal[""] = "0.0.0.0:9090"
    unmatched: Literal["Allow", "Warn", "Deny"] = "Allow"
    inject_image: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64})?$")] = ""
    poll_seconds: Annotated[_Seconds, Field(gt=0)] = limits.POLL_SECONDS
    drain_seconds: _Seconds = limits.DRAIN_SECONDS

    @model_validator(mode="after")
    def _one_feed(self) -> Self:
        if (self.trust is None) == (self.attestors is None):
            raise ValueError("expected exactly one of trust (a folder) and attestors (in a cluster)")
        if self.kubeconfig is not None and self.attestors is None:
            raise ValueError("got kubeconfig without attestors, expected both")
        return self


class OperatorSettings(Settings):
    """What `modeltrust operator` needs to know; a file states the same names in camel case.

    Attributes:
        namespace: of the release: keys, credentials, certificates, the Lease.
        jobs_namespace: of the Jobs that read every byte or evaluate.
        kubeconfig: how to reach the API server; without it, as the Pod's service account.
        worker: ``https://host:port`` of the worker.
        worker_ca: PEM of the authorities of the worker's certificate; read whenever it is used.
        worker_cert: PEM of our certificate as its client; read whenever it is used.
        worker_key: its key, PEM; read whenever it is used.
        audience: of the statements; empty for the UID of the namespace kube-system.
        job_image: of Jobs, by digest; empty makes none, and models whose bytes must be read wait.
        lease: name of the Lease.
        identity: of this replica, for people; made unique by what is added to it.
        key_secret: name of the Secret with the signing keys.
        attestors_config_map: name of the ConfigMap with the webhook's attestor file.
        metrics_listen: ``host:port`` of the metrics and probes, in the clear; empty turns them off.
        unmatched: what follows where no enforcing policy covers a model; for the audit.
        writes_per_second: to the API server, of all reconciliations together.
        rotate_certificates: whether the operator makes and renews the certificates of webhook and worker.
        monitored_namespaces: whose Services suites may have asked, separated by commas; empty: none.
    """

    namespace: _Namespace
    jobs_namespace: _Namespace
    kubeconfig: Path | None = None
    worker: Annotated[str, Field(pattern=r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[0-9]{1,5}$")]
    worker_ca: Path
    worker_cert: Path
    worker_key: Path
    audience: Annotated[str, Field(max_length=limits.AUDIENCE_CHARACTERS)] = ""
    job_image: str = ""
    lease: _ObjectName = "modeltrust-operator"
    identity: str = Field(default_factory=gethostname, min_length=1, max_length=limits.API_NAME_CHARACTERS)
    key_secret: _ObjectName = "modeltrust-attestor"
    attestors_config_map: _ObjectName = "modeltrust-attestors"
    metrics_listen: _Address | Literal[""] = "0.0.0.0:9090"
    unmatched: Literal["Allow", "Warn", "Deny"] = "Allow"
    writes_per_second: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = limits.WRITES_PER_SECOND
    rotate_certificates: bool = False
    monitored_namespaces: Annotated[str, Field(max_length=limits.MONITOR_NAMESPACES * 64, pattern=_NAMESPACES)] = ""

    @model_validator(mode="after")
    def _ours_are_not_monitored(self) -> "OperatorSettings":
        """What is monitored is asked by our Jobs; our own namespaces and the cluster's hold nothing that serves a model."""
        found = self.monitored & {self.namespace, self.jobs_namespace, "kube-system"}
        if found:
            raise ValueError(f"monitoredNamespaces: got {', '.join(sorted(found))}, expected namespaces in which models are served")
        return self

    @property
    def monitored(self) -> frozenset[str]:
        """Namespaces whose Services suites may have asked."""
        return frozenset(self.monitored_namespaces.split(",")) - {""}


class WorkerSettings(Settings):
    """What `modeltrust worker` needs to know; a file states the same names in camel case.

    Attributes:
        tls_cert: PEM, leaf first; watched.
        tls_key: PEM, unencrypted; watched.
        client_ca: PEM of the authorities of clients: nobody else is answered.
        listen: ``host:port`` on which orders arrive.
        metrics_listen: ``host:port`` of metrics and probes, in the clear; empty turns them off.
        concurrency: examinations at once.
        allow_loopback: whether sources on this machine may be contacted, for tests.
        trust_root_folder: with the public good instance's trust root, kept fresh by somebody else.
    """

    tls_cert: Path
    tls_key: Path
    client_ca: Path
    listen: _Address = "0.0.0.0:8443"
    metrics_listen: _Address | Literal[""] = "0.0.0.0:9090"
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    allow_loopback: bool = False
    trust_root_folder: Path | None = None


def _load(file: Path | None, settings: type[Settings]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        with file.open("rb") as stream:
            data = stream.read(_SETTINGS_BYTES + 1)
        value = yaml.safe_load(data) if len(data) <= _SETTINGS_BYTES else None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read {quote(file)}: {quote(error)}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"got {quote(file)}, expected a map of settings of at most {_SETTINGS_BYTES} bytes")
    names = {field.alias or name: name for name, field in settings.model_fields.items()}
    return {names.get(str(key), str(key)): setting for key, setting in value.items()}
