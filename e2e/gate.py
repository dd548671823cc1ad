"""What an evaluation on the node needs: a hub with real tiny models, an engine, trust, and our processes beside the cluster."""

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from e2e.certificates import Authority
from e2e.conftest import permissions
from e2e.engine import image
from e2e.node import ADDRESS, Node
from e2e.operator import ACCOUNT, JOBS, NAMESPACE, OperatorProcess, install
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess, attach
from modeltrust.api.attestations import attestation_name
from modeltrust.api.compile import compile_source, compile_suite
from modeltrust.api.work import encode_order
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.domain import limits
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.work import Order
from modeltrust.operator import evaluation_pods
from modeltrust.operator.sources import access
from modeltrust.signing.sign import sign_model
from tests.support.authority import server_context
from tests.support.hub import File, Hub, serving_hub
from tests.support.worker import Pair, RunningWorker

Object = dict[str, Any]
ASSETS = Path(__file__).parent.parent / "tests" / "assets" / "evaluation"
WEBHOOK = "webhook"
HUB = "hub.test"
WORKER = "10.96.7.7"
PER_FAMILY = 12
LIVE = "live"  # where models serve users, which may be watched
_TURN: Object = {"prefix": "<|user|>", "end": "<|assistant|>"}  # of the tiny models' chat template
_RESTRICTED = {f"pod-security.kubernetes.io/{level}": "restricted" for level in ("enforce", "warn")}
_SMALL: Object = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}


@dataclass(slots=True)
class Gate:
    """The evaluation gate of one node.

    Attributes:
        node: where Jobs run.
        hub: where models are.
        ca: PEM that vouches for the hub.
        ours: our image, by digest.
        engine: the engine's image, by digest.
        operator: the real process.
        webhook: the real process.
    """

    node: Node
    world: World
    hub: Hub
    ca: str
    ours: str
    engine: str
    folder: Path
    operator: OperatorProcess = field(init=False)
    webhook: WebhookProcess = field(init=False)

    def push(self, name: str, folder: str) -> Identity:
        """A tiny model under a name of its own, signed."""
        files = {path.name: path.read_bytes() for path in sorted((ASSETS / "models" / folder).iterdir())}
        files["README.md"] = f"{name}\n".encode()  # another content, or its verdict would be that of its like
        place = self.folder / name
        place.mkdir()
        for path, data in files.items():
            (place / path).write_bytes(data)
        sign_model(place, self.world.author.path, place / "model.sig")
        stored = {path.name: File(path.read_bytes(), lfs=path.suffix == ".safetensors") for path in sorted(place.iterdir())}
        sha = self.hub.model(f"acme/{name}").commit(stored)
        return parse_identity(f"hf+{self.hub.url}/acme/{name}@{sha}")

    def suite(self, name: str, base: Identity, *arguments: str, resources: Object | None = None) -> Object:
        """An EvaluationSuite of one family."""
        serving: Object = {"engine": "LlamaCpp", "image": self.engine, "userTurn": _TURN} | (
            {"args": list(arguments)} if arguments else {}
        )
        spec = {
            "probes": {"families": ["DeploymentTag"], "perFamily": PER_FAMILY, "operatorPrompts": {"secretName": "prompts"}},
            "decision": {"alpha": "0.01", "margin": "0.05"},
            "baseline": {"from": "Reference", "reference": {"model": base.key}},
            "serving": serving,
            "runtime": {"resources": resources or _SMALL},
        }
        return _ours("EvaluationSuite", name, spec)

    def policy(self, name: str, suite: str, *models: Identity) -> Object:
        """Who serves these models in the namespace of this name wants the suite passed."""
        signature = {"anyOf": [{"purpose": "Author", "signers": [{"name": "gate"}]}], "minimumAssurance": "SourceDigests"}
        return _ours(
            "ModelPolicy",
            name,
            {
                "mode": "Enforce",
                "match": {"namespaces": {"names": [name]}, "models": [model.reference.text for model in models]},
                "requirements": [
                    {"type": "Pinned"},
                    {"type": "Signature", "signature": signature},
                    {"type": "Formats", "formats": {"allowed": ["Safetensors"]}},
                    {"type": "Evaluation", "evaluation": {"suites": [{"name": suite}], "inconclusive": "Deny"}},
                ],
            },
        )

    def deployment(self, space: str, model: Identity, revision: str = "") -> Object:
        """A vLLM Deployment that serves a model of the hub, at its revision where none is given."""
        path, pin = model.reference.path, revision or str(model.pin)
        env = {"name": "HF_ENDPOINT", "value": self.hub.url}
        made = objects.deployment(path, pin, namespace=space, env=env)
        made["metadata"]["name"] = path.rpartition("/")[2]
        return made

    def denial(self, space: str, model: Identity) -> str:
        """What a Deployment that serves the model is answered; empty where it is admitted. Nothing is kept."""
        answer = self.node.apply(self.deployment(space, model), check=False)
        return answer.stderr if answer.returncode else ""

    def guard(self, space: str, suite: Object, *models: Identity) -> None:
        """A namespace whose policy wants the suite passed; returns once it is in effect."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
        self.node.apply(namespace, suite, self.policy(space, suite["metadata"]["name"], *models))
        floating = self.deployment(space, models[0], "main")
        eventually(lambda: self.node.apply(floating, check=False, flags=("--dry-run=server",)).returncode, what="the policy")

    def serve(self, name: str, model: Identity) -> None:
        """A Service of the namespace LIVE with one Pod that serves a model as users would have it."""
        source = compile_source(self.node.get("modelsource", "gate"))
        order = Order(model, "0" * 32, (), (), read_bytes=False, now=0, source=access(source, None))
        owner: Object = {"metadata": {"name": name, "uid": "none"}}
        settings = compile_suite(self.suite(name, model))
        digest = self.status(model)["contentDigest"]
        engine = evaluation_pods.engine(
            owner, name, settings=settings, image=self.ours, digest=digest, file="", max_bytes=limits.MODEL_BYTES
        )
        spec = {**engine["spec"]["template"]["spec"], "serviceAccountName": "default", "restartPolicy": "Always"}
        for container in (*spec["initContainers"], *spec["containers"]):
            container["resources"] = {}  # a node of two cores has no room for what engines of Jobs ask for beside it
        place = {"name": name, "namespace": LIVE}
        self.node.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LIVE}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": place, "stringData": {"order.json": encode_order(order).decode()}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": place,
                "spec": {"selector": {"app": name}, "ports": [{"port": 8000}]},
            },
            {"apiVersion": "v1", "kind": "Pod", "metadata": {**place, "labels": {"app": name}}, "spec": spec},
        )
        self.node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--namespace", LIVE, "--timeout=120s")

    def status(self, model: Identity) -> Object:
        """The status of the model's attestation."""
        found = self.node.kubectl("get", "modelattestation", attestation_name(model), "-o", "yaml", check=False)
        document: Object = yaml.safe_load(found.stdout) or {} if found.returncode == 0 else {}
        status: Object = document.get("status", {})
        return status

    def run(self, model: Identity) -> Object:
        """The model's run as its status tells of it; empty where there is none."""
        runs = self.status(model).get("evaluationRuns") or [{}]
        found: Object = runs[0]
        return found

    def jobs(self) -> list[Object]:
        """Jobs of the jobs namespace."""
        items: list[Object] = self.node.get("jobs", "--namespace", JOBS)["items"]
        return items

    def pods(self) -> list[Object]:
        """Pods of the jobs namespace."""
        items: list[Object] = self.node.get("pods", "--namespace", JOBS)["items"]
        return items

    def prepare(self) -> None:
        """Namespaces, rights, prompts, signer and source."""
        install(self.node)
        self.node.kubectl("label", "--overwrite", "namespace", JOBS, *(f"{key}={value}" for key, value in _RESTRICTED.items()))
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "modeltrust-job", "namespace": JOBS}}
        prompts = {"prompts.json": (ASSETS / "prompts.json").read_text()}
        attestors = {"attestors.yaml": (self.world.trust / "attestors.yaml").read_text()}
        scope = [f"hf+{self.hub.url}/acme/**"]
        source = {"models": scope, "type": "HuggingFace", "endpoints": [self.hub.url, _store(self.hub)], "caBundle": self.ca}
        signer = {"purposes": ["Author"], "publicKey": {"pem": self.world.author.public_pem}, "scope": {"models": scope}}
        self.node.apply(
            account | {"automountServiceAccountToken": False},
            _in_release("Secret", "prompts") | {"stringData": prompts},
            _in_release("ConfigMap", "modeltrust-attestors") | {"data": attestors},
            _ours("ModelSource", "gate", source | {"allowPrivateAddresses": True}),
            _ours("TrustedSigner", "gate", signer),
            *permissions(),
        )


@contextlib.contextmanager
def running_gate(node: Node, world: World, folder: Path) -> Iterator[Gate]:
    """Everything, running; stopped in the end."""
    ours, engine = image.loaded(node)
    context, ca = server_context(folder, HUB)
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(serving_hub(Hub(), tls=context, address=ADDRESS))
        for part in (hub.front, hub.store):
            part.address = part.address.replace(ADDRESS, HUB)
        node.names.hosts[HUB] = ADDRESS
        gate = Gate(node, world, hub, ca.read_text(), ours, engine, folder)
        gate.prepare()
        worker = _worker(gate)
        (folder / "webhook").mkdir()
        shutil.copy(world.trust / "attestors.yaml", folder / "webhook")
        gate.webhook = WebhookProcess(folder / "webhook", node.kubeconfig(WEBHOOK))
        gate.operator = OperatorProcess(
            folder, node.kubeconfig(ACCOUNT), worker, arguments=("--job-image", ours, "--monitored-namespaces", LIVE)
        )
        stack.callback(node.kubectl, "delete", "validatingwebhookconfiguration", "modeltrust", check=False)
        for process in (gate.webhook, gate.operator):
            process.start()
            stack.callback(process.stop)
        gate.webhook.wait_until_ready()
        gate.operator.wait_until_leading()
        _mount(gate)
        attach(node, gate.webhook)
        yield gate


def _worker(gate: Gate) -> RunningWorker:
    """The real one in a Pod: only there hosts that tests add have addresses."""
    authority = Authority(gate.folder / "worker-pki", name="worker authority")
    server, client = authority.issue("worker", hosts=[WORKER]), authority.issue("modeltrust-operator")
    files = {"tls.crt": server.certificate, "tls.key": server.key, "ca.crt": authority.certificate}
    flags = ["--tls-cert=/tls/tls.crt", "--tls-key=/tls/tls.key", "--client-ca=/tls/ca.crt", "--listen=0.0.0.0:8443"]
    container = {
        "name": "worker",
        "image": gate.ours,
        "args": ["worker", *flags],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in a container
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    volumes: list[Object] = [{"name": "tls", "secret": {"secretName": "worker-tls"}}, {"name": "tmp", "emptyDir": {}}]
    spec = {"containers": [container], "volumes": volumes, "automountServiceAccountToken": False}
    pod = _in_release("Pod", "worker")
    pod["metadata"]["labels"] = {"app": "worker"}
    service = {"selector": {"app": "worker"}, "clusterIP": WORKER, "ports": [{"port": 8443}]}
    gate.node.apply(
        _in_release("Secret", "worker-tls") | {"stringData": {key: path.read_text() for key, path in files.items()}},
        pod | {"spec": {**spec, "terminationGracePeriodSeconds": 1}},
        _in_release("Service", "worker") | {"spec": service},
    )
    gate.node.kubectl("wait", "--for=condition=Ready", "pod/worker", "--namespace", NAMESPACE, "--timeout=60s")
    ours, theirs = Pair(authority.certificate, server.key), Pair(client.certificate, client.key)
    process = subprocess.Popen(["true"])  # the kubelet runs the real one
    process.wait()
    return RunningWorker(process, f"https://{WORKER}:8443", 0, ours, theirs)


def _mount(gate: Gate) -> None:
    """What the kubelet does with the ConfigMap, once the operator has written its key into it."""
    target = gate.webhook.folder / "attestors.yaml"

    def written() -> bool:
        text = gate.node.get("configmap", "modeltrust-attestors", "--namespace", NAMESPACE)["data"]["attestors.yaml"]
        target.write_text(text)
        return len(yaml.safe_load(text)) > 1

    eventually(written, seconds=30, what="the operator's entry among the attestors")


def _store(hub: Hub) -> str:
    return f"https://{hub.store.address}"


def _in_release(kind: str, name: str) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}}


def _ours(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def revealed(commitment: str, nonce: str) -> bool:
    """Whether a nonce is the one that was committed to."""
    return hashlib.sha256(nonce.encode()).hexdigest() == commitment
