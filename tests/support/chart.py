"""The chart, rendered in every way that matters: what one test of it looks at, the others do, too."""

import base64
from functools import cache
from typing import Any

from tests.support.helm import objects, template

Object = dict[str, Any]

DIGEST = "sha256:" + "a" * 64
MONITORING = ("--api-versions", "monitoring.coreos.com/v1")
BUNDLE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
CERT_MANAGER = ("--api-versions", "cert-manager.io/v1")
EVERYTHING: Object = {
    "image": {"digest": DIGEST},
    "imagePullSecrets": [{"name": "pull"}],
    "verifyAtLoad": {"inject": True},
    "monitoring": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
    "webhook": {"clientCASecret": "clients", "podLabels": {"team": "a"}, "podAnnotations": {"a": "b"}, "nodeSelector": {"a": "b"}},
    "worker": {"priorityClassName": "low", "tolerations": [{"key": "a", "operator": "Exists"}]},
    "certificates": {"mode": "certManager"},
    "networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1/32"]}},
    "neverSent": ["istio-system"],
    "jobs": {"monitoredNamespaces": ["serving", "42"]},
}
VARIANTS: dict[str, tuple[Object, tuple[str, ...]]] = {
    "defaults": ({}, ()),
    "everything": (EVERYTHING, (*MONITORING, *CERT_MANAGER)),
    "issuer": ({"certificates": {"mode": "certManager", "certManager": {"issuerRef": {"name": "platform"}}}}, CERT_MANAGER),
    "provided": ({"certificates": {"mode": "provided", "caBundle": BUNDLE}}, ()),
    "fail open": ({"mode": "FailOpen"}, ()),
    "off": ({"mode": "Disabled"}, ()),
    "inside": (
        {"networkPolicies": {"sources": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "except": ["169.254.0.0/16", "10.1.0.0/16"]}}},
        (),
    ),
    "IPv6": ({"ipFamily": "IPv6"}, ()),
    "bare": ({"networkPolicies": {"enabled": False}, "crds": {"enabled": False}, "guards": {"enabled": False}}, ()),
}
"""By name: values over those of values.yaml, and flags of `helm template`."""


def text(variant: str, *, major: int = 4) -> str:
    """What a variant renders to.

    Args:
        variant: a key of VARIANTS.
        major: of helm.
    """
    values, flags = VARIANTS[variant]
    return template(values, *flags, major=major)


@cache
def rendered(variant: str) -> list[Object]:
    """Its objects; read by many, changed by none."""
    return objects(text(variant))
