"""What is read of Pods: typed partial decoding with msgspec.

Only fields that are read are named; everything else is skipped unparsed (facts/performance.md, rule 3). The API server
sends nulls, so every optional field allows None. ``gc=False``: these trees hold no cycles.
"""

from typing import Any

import msgspec


class Present(msgspec.Struct, gc=False):
    """Any map: only asked whether it is there, so its members are skipped unparsed."""


class Named(msgspec.Struct, gc=False):
    """``{name}``: a reference to another object."""

    name: str | None = None


class EnvSource(msgspec.Struct, gc=False, rename="camel"):
    """``valueFrom``: no value behind it is known; of a field of the Pod it is known to be one word."""

    field_ref: Any = None
    resource_field_ref: Any = None

    @property
    def one_word(self) -> bool:
        """Whether the API server itself makes the value, which then has no blank."""
        if self.resource_field_ref is not None:
            return True
        path = self.field_ref.get("fieldPath") if isinstance(self.field_ref, dict) else None
        return isinstance(path, str) and not path.startswith("metadata.annotations")


class EnvVar(msgspec.Struct, gc=False, rename="camel"):
    """An entry of ``env``."""

    name: str
    value: str | None = None
    value_from: EnvSource | None = None


class EnvFrom(msgspec.Struct, gc=False, rename="camel"):
    """An entry of ``envFrom``."""

    prefix: str | None = None
    config_map_ref: Named | None = None
    secret_ref: Named | None = None


class Mount(msgspec.Struct, gc=False, rename="camel"):
    """An entry of ``volumeMounts``."""

    name: str
    mount_path: str
    sub_path: str | None = None
    sub_path_expr: str | None = None


class Exec(msgspec.Struct, gc=False):
    """``exec`` of a probe or hook."""

    command: list[str] | None = None


class Handler(msgspec.Struct, gc=False):
    """A probe or a lifecycle hook."""

    exec: Exec | None = None


class Lifecycle(msgspec.Struct, gc=False, rename="camel"):
    """``lifecycle`` of a container."""

    post_start: Handler | None = None
    pre_stop: Handler | None = None


class Resources(msgspec.Struct, gc=False):
    """``resources`` of a container."""

    limits: dict[str, Any] | None = None
    requests: dict[str, Any] | None = None
    claims: list[Any] | None = None


class Container(msgspec.Struct, gc=False, rename="camel"):
    """A container of any kind: init, native sidecar, main or ephemeral."""

    name: str | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFrom] | None = None
    volume_mounts: list[Mount] | None = None
    resources: Resources | None = None
    lifecycle: Lifecycle | None = None
    startup_probe: Handler | None = None
    liveness_probe: Handler | None = None
    readiness_probe: Handler | None = None
    working_dir: str | None = None


class ImageVolume(msgspec.Struct, gc=False):
    """An OCI image or artifact as a volume (KEP-4639)."""

    reference: str | None = None


class Csi(msgspec.Struct, gc=False, rename="camel"):
    """A CSI volume, inline or of a PersistentVolume."""

    driver: str | None = None
    volume_attributes: dict[str, str] | None = None
    volume_handle: str | None = None


class Claim(msgspec.Struct, gc=False, rename="camel"):
    """``persistentVolumeClaim`` of a volume."""

    claim_name: str | None = None


class PathSource(msgspec.Struct, gc=False):
    """``hostPath`` and ``local``."""

    path: str | None = None


class Nfs(msgspec.Struct, gc=False):
    """``nfs``."""

    server: str | None = None
    path: str | None = None


class GitRepo(msgspec.Struct, gc=False):
    """The removed ``gitRepo`` volume; old clusters still run it."""

    repository: str | None = None
    revision: str | None = None


class Volume(msgspec.Struct, gc=False, rename="camel"):
    """A volume of a Pod, or the source part of a PersistentVolume."""

    name: str | None = None
    image: ImageVolume | None = None
    csi: Csi | None = None
    persistent_volume_claim: Claim | None = None
    host_path: PathSource | None = None
    local: PathSource | None = None
    nfs: Nfs | None = None
    git_repo: GitRepo | None = None
    empty_dir: Present | None = None
    config_map: Present | None = None
    secret: Present | None = None
    projected: Present | None = None
    ephemeral: Present | None = None


class DnsConfig(msgspec.Struct, gc=False):
    """The part of ``dnsConfig`` that can send a name somewhere else."""

    nameservers: list[str] | None = None


class PodSpec(msgspec.Struct, gc=False, rename="camel"):
    """What is read of a Pod spec."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    host_aliases: list[Any] | None = None
    dns_config: DnsConfig | None = None


class PodMetadata(msgspec.Struct, gc=False):
    """Metadata of a Pod template."""

    annotations: dict[str, str] | None = None


class PodTemplate(msgspec.Struct, gc=False):
    """A PodTemplateSpec."""

    metadata: PodMetadata | None = None
    spec: PodSpec | None = None


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """Metadata of the object itself."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    annotations: dict[str, str] | None = None


class Head(msgspec.Struct, gc=False, rename="camel"):
    """What every object has."""

    kind: str
    api_version: str
    metadata: Metadata | None = None
