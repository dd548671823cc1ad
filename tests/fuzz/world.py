"""The webhook under attack, as the process builds it, over a small trusted world in memory."""

import json
import time
from collections.abc import Callable
from typing import Any

from modeltrust.store.sink import Kind
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.answer import Answerer
from modeltrust.webhook.health import Health
from modeltrust.webhook.validate import Validate
from tests.support import reviews, trusted
from tests.support.statements import NOW

Object = dict[str, Any]

ENFORCED = "team-a"
IMAGES = "team-s"  # enforced, with ServingImage on top
MODEL, REVISION = "acme/guard-7b", reviews.COMMIT  # the one attested model, beside the adapter image of the volume
IMAGE = "registry.acme.example/vllm/vllm-openai@sha256:" + "12" * 32


class World:
    """The answerer and the ASGI endpoint over one store.

    Attributes:
        errors: how many errors of ours were reported; a fuzzer's finding each.
    """

    def __init__(self) -> None:
        store = trusted.a_store()
        images = [{"type": "ServingImage", "servingImage": {"allowed": ["registry.acme.example/**"]}}]
        strict = trusted.policy("images", match={"namespaces": {"names": [IMAGES]}, "models": ["**"]}, requirements=images)
        store.replace(Kind.POLICIES, [trusted.policy(), trusted.audit_policy(), trusted.other_policy(), strict])
        store.replace(Kind.NAMESPACES, [trusted.namespace(ENFORCED), trusted.namespace(IMAGES), trusted.namespace("team-b", "dev")])
        store.freshness.confirm(Kind.POLICIES, NOW)
        store.freshness.confirm(Kind.NAMESPACES, NOW)
        self.errors: list[str] = []
        telemetry = Telemetry(sink=len)
        self.answerer = Answerer(
            admission=trusted.an_admission(store, report=self._report),
            tables=trusted.TABLES,
            check=trusted.check,
            telemetry=telemetry,
            identifier=lambda: "7f3a91",
            report=self._report,
        )
        self.endpoint = Validate(answerer=self.answerer, health=Health(lambda _: ()), telemetry=telemetry, clock=lambda: float(NOW))

    def answer(self, body: bytes) -> bytes | None:
        """Bytes to bytes; None: no verdict, HTTP 400."""
        return self.answerer.answer(body, now=NOW, started=time.perf_counter())

    def _report(self, error: Exception) -> str:
        self.errors.append(f"{type(error).__name__}: {error}"[:300])
        return "7f3a91"


def review(obj: Any, *, old: Any = None, namespace: str = ENFORCED, change: Callable[[Object], None] | None = None) -> Object:
    """An AdmissionReview of an object; an UPDATE where there is an old one."""
    known = obj if isinstance(obj, dict) else {}
    group, _, version = str(known.get("apiVersion", "v1")).rpartition("/")
    kind = str(known.get("kind", "Pod"))
    request: Object = {
        "uid": reviews.UID,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": f"{kind.lower()}s"},
        "name": "guard",
        "namespace": namespace,
        "operation": "CREATE" if old is None else "UPDATE",
        "userInfo": {"username": "system:serviceaccount:team-a:deployer", "groups": ["system:authenticated"]},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        "options": None,
    }
    if change is not None:
        change(request)
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def encoded(document: Object) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
