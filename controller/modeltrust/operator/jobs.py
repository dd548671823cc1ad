"""Examinations that read every byte, as Jobs of the operator's own namespace; tenants' namespaces are never used (attack C6).

The name follows from the nonce, so one order makes one Job, whoever asks and however often (F65). The order stands in a Secret: it
may hold credentials. The Job comes first, suspended, so that the Secret can belong to it from its first moment and no Secret
is ever left without a Job to take it along; then the Job is let run.
"""

import base64
from dataclasses import replace
from hashlib import sha256

from modeltrust.api import work
from modeltrust.api.output import report_of
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError, quote
from modeltrust.domain.work import Order, Report, Running
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, ConflictError, Object
from modeltrust.kube.jobs import ended, log_of, runs
from modeltrust.operator.writes import Writes

CONTAINER = "examine"
_LABELS = {"app.kubernetes.io/name": "modeltrust", "app.kubernetes.io/component": "job", "modeltrust.dev/job": "examine"}
_SELECTOR = "modeltrust.dev/job=examine"
_ORDER_HASH = "modeltrust.dev/order"  # of what is asked, time and credentials left out
_LIMITED = 13  # job.examine.Exit.LIMITED


class JobWorker:
    """Implements ``domain.work.Worker`` for orders that read every byte; safe to call from several threads."""

    def __init__(self, api: ApiServer | Writes, *, namespace: str, image: str, at_once: int = limits.JOBS_AT_ONCE) -> None:
        """Begin without contacting anybody.

        Args:
            api: of the cluster.
            namespace: of the Jobs, which nobody else may write to.
            image: ours, by digest.
            at_once: Jobs that have not ended.
        """
        self._api = api
        self._namespace = namespace
        self._image = image
        self._at_once = at_once

    def examine(self, order: Order) -> Report | Running:
        """See ``Worker.examine``.

        Raises:
            UnavailableError: no answer of the API server, a Job that failed, or no report of ours in its log.
            LimitExceededError: too many Jobs, or an order that no Secret holds.
        """
        name = f"examine-{order.nonce}"
        try:
            job = self._api.get_object(self._path("jobs", name))
        except NotFoundError:
            job = self._begin(name, order)
        self._check(job, order)
        if (job.get("spec") or {}).get("suspend"):
            self._release(job, order)
            return Running(f"in the Job {self._namespace}/{name}")
        end = ended(job)
        if end is None:
            return Running(f"in the Job {self._namespace}/{name}")
        if not end.good:
            raise UnavailableError(f"the Job {self._namespace}/{name} failed: {quote(end.reason)}")
        return self._report(job)

    def _begin(self, name: str, order: Order) -> Object:
        if len(work.encode_order(order)) > limits.JOB_ORDER_BYTES:
            raise LimitExceededError(f"got an order of more than {limits.JOB_ORDER_BYTES} bytes, which no Secret holds")
        listed = self._api.list_objects(self._path("jobs"), {"labelSelector": _SELECTOR})
        if sum(ended(job) is None for job in listed) >= self._at_once:
            raise LimitExceededError(f"{self._at_once} Jobs are under way, expected fewer")
        made = self._api.create_object(self._path("jobs"), self._job(name, order))
        return self._api.get_object(self._path("jobs", name)) if made is None else made

    def _check(self, job: Object, order: Order) -> None:
        """A Job under this name that somebody else made, or that runs something else, is not ours (attack M4)."""
        labels, annotations = job["metadata"].get("labels") or {}, job["metadata"].get("annotations") or {}
        same = annotations.get(_ORDER_HASH) == _hash(order) and all(labels.get(key) == value for key, value in _LABELS.items())
        found = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
        if not same or not runs(found, self._pod(job["metadata"]["name"])):
            # of an image before an upgrade, or somebody else's
            self._api.delete(self._path("jobs", job["metadata"]["name"]), uid=job["metadata"]["uid"])
            name = quote(job["metadata"]["name"])
            raise UnavailableError(f"got a Job {name} that is not the one that is made for this order; it is removed")

    def _release(self, job: Object, order: Order) -> None:
        """The order into its Secret, then the Job may run; each step may have been done before."""
        name = job["metadata"]["name"]
        self._api.create_object(self._path("secrets"), self._secret(job, order))
        secret = self._api.get_object(self._path("secrets", name))
        if [owner.get("uid") for owner in secret["metadata"].get("ownerReferences") or []] != [job["metadata"]["uid"]]:
            # of an earlier Job of this name that is still being collected, or somebody else's
            self._api.delete(self._path("secrets", name), uid=secret["metadata"]["uid"])
            raise UnavailableError(f"the Secret {quote(name)} belongs to another Job; it is removed")
        version = job["metadata"]["resourceVersion"]
        try:
            patch = {"metadata": {"resourceVersion": version}, "spec": {"suspend": False}}
            self._api.merge_patch(self._path("jobs", name), patch)
        except ConflictError:
            return  # somebody else did; the next look tells

    def _report(self, job: Object) -> Report:
        try:
            spec = self._pod(job["metadata"]["name"])
            bound = limits.OUTPUT_BYTES
            log = log_of(self._api, job, spec=spec, namespace=self._namespace, container=CONTAINER, max_bytes=bound)
            return report_of(log)
        except (MalformedError, NotFoundError) as error:
            raise UnavailableError(f"the Job {quote(job['metadata']['name'])} left no report: {error}") from error

    def _path(self, plural: str, name: str = "") -> str:
        if plural == "jobs":
            return paths.group("batch/v1", plural, name, namespace=self._namespace)
        return paths.core(plural, name, namespace=self._namespace)

    def _secret(self, job: Object, order: Order) -> Object:
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {"name": job["metadata"]["name"], "labels": _LABELS, "ownerReferences": [owner]},
            "data": {"order.json": base64.b64encode(work.encode_order(order)).decode("ascii")},
        }

    def _job(self, name: str, order: Order) -> Object:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": _LABELS, "annotations": {_ORDER_HASH: _hash(order)}},
            "spec": {
                "suspend": True,
                "backoffLimit": limits.JOB_RETRIES,
                "activeDeadlineSeconds": limits.JOB_SECONDS,
                "ttlSecondsAfterFinished": limits.JOB_KEPT_SECONDS,
                "podReplacementPolicy": "Failed",  # never two Pods of one Job
                "podFailurePolicy": {
                    "rules": [
                        # what it says once it will say again; a Pod that was evicted or preempted says nothing (F63)
                        {
                            "action": "FailJob",
                            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [1, 2, _LIMITED]},
                        },
                        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    ]
                },
                "template": {"metadata": {"labels": _LABELS}, "spec": self._pod(name)},
            },
        }

    def _pod(self, name: str) -> Object:
        return {
            "restartPolicy": "Never",
            "serviceAccountName": "modeltrust-job",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": CONTAINER,
                    "image": self._image,
                    "args": ["job", "examine", "--order", "/order/order.json"],
                    "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "4Gi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "order", "mountPath": "/order", "readOnly": True}],
                }
            ],
            "volumes": [{"name": "order", "secret": {"secretName": name}}],
        }


def _hash(order: Order) -> str:
    """Of what is asked: when it is asked and with which password changes between two looks."""
    source = None if order.source is None else replace(order.source, username="", password="")
    remote = tuple(replace(bundle, access=replace(bundle.access, username="", password="")) for bundle in order.remote_bundles)
    bare = replace(order, now=0, source=source, remote_bundles=remote)
    return sha256(work.encode_order(bare)).hexdigest()
