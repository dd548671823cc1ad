"""What a kind is: its names, its two halves, and how kubectl prints it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from modeltrust.api.v1alpha1.fields import Status, Struct

GROUP = "modeltrust.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

S = TypeVar("S", bound=Struct)


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column.

    Attributes:
        name: heading.
        path: JSONPath, as kubectl evaluates it.
        type: ``string``, ``integer`` or ``date``.
        wide: shown with ``-o wide`` only.
    """

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """One of the eight kinds.

    Attributes:
        name: ``ModelPolicy``.
        plural: ``modelpolicies``.
        short: short name for kubectl.
        purpose: one sentence, the description of the CRD.
        spec: model of the spec.
        status: model of the status.
        columns: printer columns; Ready and Age are added.
        keep_unknown: keep unknown fields of the spec, so that our own validation can refuse them instead of the API server dropping
            them silently.
    """

    name: str
    plural: str
    short: str
    purpose: str
    spec: type[S]
    status: type[Status]
    columns: tuple[Column, ...] = ()
    keep_unknown: bool = False
