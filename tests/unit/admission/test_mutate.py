import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.admission.decide import Admission, Question
from modeltrust.admission.mutate import MIRROR, NAME, Demand, container
from modeltrust.admission.pod_volumes import Pod
from modeltrust.domain.decision import Decision
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reasons import Reason
from modeltrust.store.sink import Kind
from modeltrust.store.store import Store
from tests.support import json_patch, reviews, trusted
from tests.support.statements import NOW, sealed

Object = dict[str, Any]
Change = Callable[[Object], object]
IMAGE = "registry.acme.example/modeltrust@sha256:" + "5a" * 32
DIGEST = "sha256:" + "c0" * 32  # of the statements of tests.support.statements
VOLUME = "kserve-provision-location"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def policy(**changes: Any) -> Object:
    signature = {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}], "minimumAssurance": "VerifiedAtLoad"}
    return trusted.policy(requirements=[{"type": "Pinned"}, {"type": "Signature", "signature": signature}], **changes)


def a_store(**changes: Any) -> Store:
    store = trusted.a_store()
    store.replace(Kind.POLICIES, [policy(**changes)])
    return store


def an_admission(store: Store | None = None, image: str | None = IMAGE) -> Admission:
    return Admission(extractor=trusted.EXTRACTOR, store=store or a_store(), inject_image=image)


ADMISSION = an_admission()


def question(document: Object) -> Question:
    return Question(json.dumps(document).encode(), "team-a")


def mutated(document: Object, admission: Admission = ADMISSION) -> Object:
    patched: Object = json_patch.apply(document, admission.mutate(question(document), NOW))
    return patched


def decide(document: Object, admission: Admission = ADMISSION) -> Decision:
    return admission.decide(question(document), NOW)


def _main(pod: Object) -> Object:
    found: Object = pod["spec"]["containers"][0]
    return found


def served() -> Object:
    """A Pod that downloads into a folder and serves it from there; its server may write to it, until ``mutate``."""
    document = reviews.pod()
    _main(document).update(command=["vllm", "serve", "/models/guard"], args=[])
    return document


def kserve() -> Object:
    """A Pod of the shape that KServe makes: its own webhook appends the storage-initializer."""
    mount = {"name": VOLUME, "mountPath": "/mnt/models"}
    initializer = {"name": "storage-initializer", "image": "kserve/storage-initializer:v0.17.0", "volumeMounts": [mount]}
    initializer["args"] = [f"hf://acme/guard-7b:{reviews.COMMIT}", "/mnt/models"]
    server = {"name": "kserve-container", "image": "kserve/huggingfaceserver:v0.17.0", "volumeMounts": [mount | {"readOnly": True}]}
    server["args"] = ["--model_name=guard", "--model_dir=/mnt/models"]
    volumes = [{"name": VOLUME, "emptyDir": {}}]
    spec = {"containers": [server], "initContainers": [initializer], "volumes": volumes}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "guard-predictor", "namespace": "team-a"}, "spec": spec}


def claim(*, digest: str = DIGEST, read_only: bool = False) -> Object:
    """A Pod that serves from a claim of its namespace."""
    mount = {"name": "models", "mountPath": "/models"}
    server = {
        "name": "main",
        "image": "vllm/vllm-openai:v1",
        "command": ["vllm", "serve", "/models/guard"],
        "volumeMounts": [mount],
    }
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": "tenant", "readOnly": read_only}}
    annotations = {"modeltrust.dev/content-digests": json.dumps({"pvc://team-a/tenant/guard": digest})}
    metadata = {"name": "guard", "namespace": "team-a", "annotations": annotations}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": [server], "volumes": [volume]}}


def claim_store() -> Store:
    store = a_store()
    identity = "pvc://team-a/tenant/guard"
    said = trusted.statement(trusted.GUARD)
    about = trusted.statement_at(identity, ContentDigest.parse(DIGEST), said)
    named = trusted.thing("ModelAttestation", "claim", {"model": identity, "contentDigest": DIGEST})
    named["status"] = {"statement": sealed(about, trusted.ATTESTOR_KEY).decode()}
    store.upsert(Kind.ATTESTATIONS, named)
    signer = trusted.signer()
    signer["spec"]["scope"]["models"].append("pvc://team-a/**")
    store.upsert(Kind.SIGNERS, signer)
    return store


# --- what is injected --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [served(), kserve()])
def test_what_mutate_makes_of_a_pod_is_admitted_and_it_was_denied_before(document: Object) -> None:
    before, after = decide(document), decide(mutated(document))
    assert {finding.reason for finding in before.findings} == {Reason.ASSURANCE_TOO_LOW}
    assert not before.allowed
    assert after.allowed, after.findings


def test_the_verifier_is_the_last_init_container_and_compares_the_folder_with_the_attested_digest() -> None:
    inits = mutated(kserve())["spec"]["initContainers"]
    assert [init["name"] for init in inits] == ["storage-initializer", NAME]
    assert inits[-1] == container(IMAGE, [Demand(VOLUME, "", ContentDigest.parse(DIGEST))])
    assert inits[-1]["args"] == ["job", "verify-at-load", "/volumes/kserve-provision-location", "--digest", DIGEST]
    assert inits[-1]["volumeMounts"] == [{"name": VOLUME, "mountPath": "/volumes/kserve-provision-location", "readOnly": True}]


def test_only_mounts_of_verified_volumes_become_read_only() -> None:
    operations = ADMISSION.mutate(question(served()), NOW)
    paths = [operation["path"] for operation in operations]
    assert paths == ["/spec/containers/0/volumeMounts/0/readOnly", "/spec/initContainers/-"]


def test_from_the_second_time_the_patch_is_empty() -> None:
    once = mutated(served())
    assert ADMISSION.mutate(question(once), NOW) == ()
    defaulted = copy.deepcopy(once)
    verifier(defaulted)["imagePullPolicy"] = "Always"
    verifier(defaulted)["volumeMounts"].append({"name": "kube-api-access-x2k4v", "mountPath": TOKEN, "readOnly": True})
    verifier(defaulted)["resources"]["limits"]["cpu"] = "1"
    assert ADMISSION.mutate(question(defaulted), NOW) == ()
    assert decide(defaulted).allowed


def test_a_verifier_that_another_webhook_put_something_behind_is_moved() -> None:
    document = mutated(kserve())
    document["spec"]["initContainers"].append({"name": "istio-init", "image": "istio/proxyv2:1"})
    assert not decide(document).allowed
    moved = mutated(document)
    assert [init["name"] for init in moved["spec"]["initContainers"]] == ["storage-initializer", "istio-init", NAME]
    assert decide(moved).allowed


def test_a_verifier_of_an_older_statement_is_renewed() -> None:
    document = mutated(kserve())
    document["spec"]["initContainers"][-1] = container(IMAGE, [Demand(VOLUME, "", ContentDigest("00" * 32))])
    assert not decide(document).allowed
    assert decide(mutated(document)).allowed


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "Audit"},
        {"mode": "Warn"},
        {"enforceAfterTime": "2099-01-01T00:00:00Z"},
        {"match": {"namespaces": {"names": ["team-z"]}, "models": ["**"]}},
        {"match": {"namespaces": {"names": ["team-a"]}, "models": ["hf://other/*"]}},
    ],
)
def test_nothing_is_injected_where_no_enforced_policy_demands_it(changes: Object) -> None:
    admission = an_admission(a_store(**changes))
    assert admission.mutate(question(served()), NOW) == ()
    assert decide(served(), admission).allowed  # what would be injected is enough to say what would follow


def test_nothing_is_injected_before_there_is_a_statement_and_the_pod_is_pending() -> None:
    store = a_store()
    store.replace(Kind.ATTESTATIONS, [])
    admission = an_admission(store)
    assert admission.mutate(question(kserve()), NOW) == ()
    decision = decide(kserve(), admission)
    assert [finding.reason for finding in decision.findings] == [Reason.ATTESTATION_PENDING]
    assert decision.wanted


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod["metadata"].update(annotations={MIRROR: "x"}),
        lambda pod: pod.update(kind="Podlike"),
        lambda pod: pod["spec"].update(hostPID=True),
        lambda pod: pod["spec"].update(containers=3),
        lambda pod: pod["spec"]["initContainers"].append({"name": NAME, "image": "evil"}),
        lambda pod: pod["spec"]["containers"].append({"name": NAME, "image": "evil"}),
    ],
)
def test_what_cannot_hold_is_not_patched(change: Change) -> None:
    document = kserve()
    change(document)
    assert ADMISSION.mutate(question(document), NOW) == ()


def test_other_kinds_are_never_patched_and_their_pods_are_judged_when_they_are_made() -> None:
    assert ADMISSION.mutate(question(reviews.deployment()), NOW) == ()
    assert decide(reviews.deployment()).allowed
    assert decide(reviews.inference_service()).allowed


def test_without_an_image_nothing_is_injected_and_nothing_holds() -> None:
    admission = an_admission(image="")
    assert admission.mutate(question(served()), NOW) == ()
    assert "no verifier is configured" in decide(served(), admission).findings[0].message
    assert decide(served(), an_admission(image=None)).allowed  # the command line is asked before anything is injected


def test_our_own_errors_leave_the_pod_as_it_is() -> None:
    told: list[Exception] = []

    def report(error: Exception) -> str:
        told.append(error)
        return "x"

    class Failing:
        def extract(self, document: bytes, *, namespace: str = "") -> Any:
            raise ZeroDivisionError(document, namespace)

    admission = Admission(extractor=Failing(), store=a_store(), inject_image=IMAGE, report=report)
    assert admission.mutate(question(kserve()), NOW) == ()
    assert [type(error) for error in told] == [ZeroDivisionError]


# --- what is demanded --------------------------------------------------------------------------------------------------------


def verifier(document: Object) -> Object:
    found: Object = document["spec"]["initContainers"][-1]
    assert found["name"] == NAME
    return found


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


LEAVES = [path for path in leaves(verifier(mutated(kserve()))) if path]
OTHER: Any = st.one_of(
    st.none(), st.booleans(), st.integers(0, 9), st.sampled_from(["", "x", "Always", "/", DIGEST]), st.just([]), st.just({})
)


@settings(max_examples=150)
@given(path=st.sampled_from(LEAVES), other=OTHER, how=st.sampled_from(["replace", "remove", "add"]))
def test_every_single_change_of_the_verifier_is_denied(path: tuple[Any, ...], other: Any, how: str) -> None:
    document = mutated(kserve())
    before = copy.deepcopy(verifier(document))
    target: Any = verifier(document)
    for part in path[:-1]:
        target = target[part]
    last: Any = path[-1]
    if how == "remove":
        del target[last]
    elif how == "replace":
        target[last] = other
    elif isinstance(target, list):
        target.insert(last, other)
    else:
        target["another"] = other
    found = copy.deepcopy(document["spec"]["initContainers"][-1])
    if found == before or (path == ("imagePullPolicy",) and found.get("imagePullPolicy") == "Always"):
        return
    if path[:2] in {("resources", "requests"), ("resources", "limits")} and how == "add":
        return  # what the API server adds of resources hinders nothing
    assert not decide(document).allowed


@pytest.mark.parametrize(
    "field",
    [
        {"command": ["true"]},
        {"env": [{"name": "PYTHONPATH", "value": "/volumes/kserve-provision-location"}]},
        {"envFrom": []},
        {"restartPolicy": "Always"},
        {"workingDir": "/"},
        {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}},
        {"securityContext": {"privileged": True}},
        {"image": IMAGE.replace("5a5a", "0000")},
        {"image": "registry.acme.example/modeltrust:latest"},
        {"imagePullPolicy": "Never"},
        {"args": ["job", "verify-at-load", "/volumes/kserve-provision-location", "--digest", "sha256:" + "0" * 64]},
        {"args": ["job", "verify-at-load", "/models", "--digest", DIGEST]},
        {"args": ["job", "examine"]},
        {"args": []},
        {"name": "another"},
    ],
)
def test_the_verifier_counts_only_as_we_write_it(field: Object) -> None:
    document = mutated(kserve())
    verifier(document).update(field)
    assert not decide(document).allowed


def test_annotations_of_the_author_change_nothing_in_the_verifier() -> None:
    document = kserve()
    document["metadata"]["annotations"] = {"modeltrust.dev/inject-image": "evil", "modeltrust.dev/inject-args": "[]"}
    assert verifier(mutated(document)) == verifier(mutated(kserve()))


def _sidecar(**fields: Any) -> Change:
    mount = {"name": VOLUME, "mountPath": "/models"}
    side = {"name": "side", "image": "x", "restartPolicy": "Always", "volumeMounts": [mount], **fields}
    return lambda pod: pod["spec"]["initContainers"].insert(0, side)


def _mounted(path: str, name: str = "evil") -> Change:
    def change(pod: Object) -> None:
        pod["spec"]["volumes"].append({"name": name, "configMap": {"name": name}})
        _main(pod)["volumeMounts"].append({"name": name, "mountPath": path})

    return change


def _linked(outer: str, inner: str) -> Change:
    """An init container leaves ``link -> /mnt/models`` in another volume; what is mounted at the link lands on the model."""

    def change(pod: Object) -> None:
        pod["spec"]["volumes"] += [{"name": "v2", "emptyDir": {}}, {"name": "evil", "configMap": {"name": "evil"}}]
        pod["spec"]["initContainers"][0]["volumeMounts"].append({"name": "v2", "mountPath": "/v2"})
        _main(pod)["volumeMounts"] += [{"name": "v2", "mountPath": outer}, {"name": "evil", "mountPath": inner}]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pod: _main(pod)["volumeMounts"][0].update(readOnly=False), "without readOnly"),
        (lambda pod: _main(pod)["volumeMounts"][0].pop("readOnly"), "without readOnly"),
        (
            lambda pod: _main(pod)["volumeMounts"].append({"name": VOLUME, "mountPath": "/c"}),
            "without readOnly",
        ),
        (
            lambda pod: _main(pod)["volumeMounts"].append({"name": VOLUME, "mountPath": "/c", "subPath": "x"}),
            "without readOnly",
        ),
        (
            lambda pod: pod["spec"]["containers"].append(
                {"name": "w", "image": "x", "volumeMounts": [{"name": VOLUME, "mountPath": "/m"}]}
            ),
            "container w mounts volume",
        ),
        (
            lambda pod: pod["spec"].update(
                ephemeralContainers=[{"name": "e", "image": "x", "volumeMounts": [{"name": VOLUME, "mountPath": "/m"}]}]
            ),
            "container e mounts volume",
        ),
        (_sidecar(), "container side mounts volume"),
        (
            lambda pod: _main(pod).update(volumeDevices=[{"name": VOLUME, "devicePath": "/dev/x"}]),
            "as a device",
        ),
        (lambda pod: pod["spec"].update(hostPID=True), "hostPID"),
        (lambda pod: pod["spec"].update(shareProcessNamespace=True), "shareProcessNamespace"),
        (lambda pod: pod["spec"]["volumes"].append({"name": "node", "hostPath": {"path": "/var/lib/kubelet"}}), "hostPath"),
        (lambda pod: _main(pod).update(securityContext={"privileged": True}), "privileged"),
        (lambda pod: _main(pod).update(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "SYS_ADMIN"),
        (lambda pod: _main(pod).update(securityContext={"capabilities": {"add": ["CAP_SYS_ADMIN"]}}), "CAP_SYS_ADMIN"),
        (lambda pod: _main(pod).update(securityContext={"capabilities": {"add": ["ALL"]}}), "ALL"),
        (lambda pod: _main(pod).update(securityContext={"capabilities": {"add": ["DAC_READ_SEARCH"]}}), "DAC_READ_SEARCH"),
        (lambda pod: pod["spec"]["initContainers"][0].update(securityContext={"privileged": True}), "privileged"),
        (_mounted("/mnt/models/tokenizer"), "mounts evil inside"),
        (_mounted("/mnt/x/../models/tokenizer"), "mounts evil inside"),
        (_mounted("//mnt//models/./tokenizer/"), "mounts evil inside"),
        (_linked("/v2", "/v2/link"), "a link may lead over the model"),
        (_linked("/v2", "/v2"), "a link may lead over the model"),
        (_linked("/run", "/var/run/link"), "a link may lead over the model"),
        (lambda pod: pod["spec"]["volumes"][0].update(emptyDir=None, nfs={"server": "x", "path": "/"}), "neither an emptyDir"),
        (lambda pod: pod["spec"]["volumes"][0].update(emptyDir=None, ephemeral={}), "neither an emptyDir"),
        (lambda pod: pod["spec"]["initContainers"].append({"name": "after", "image": "x"}), "not the last"),
        (lambda pod: pod["spec"]["initContainers"].pop(), "has no init container"),
        (lambda pod: pod["spec"]["initContainers"].insert(0, verifier(pod)), "no single"),
        (lambda pod: pod["spec"]["containers"].append({"name": NAME, "image": "x"}), "no single"),
        (lambda pod: _main(pod).update(args=["--model_dir=/mnt"]), None),
        (lambda pod: _main(pod).update(args=["--model_id=acme/guard-7b", f"--model_revision={reviews.COMMIT}"]), "by itself"),
    ],
)
def test_h12_whatever_could_change_the_bytes_after_they_were_compared_is_denied(change: Change, said: str | None) -> None:
    document = mutated(kserve())
    change(document)
    decision = decide(document)
    assert not decision.allowed
    messages = " ".join(finding.message for finding in decision.findings)
    assert said is None or said in messages


@pytest.mark.parametrize("prefix", ["/var/run", "/run"])
def test_links_that_every_image_has_are_followed(prefix: str) -> None:
    document = kserve()
    for listed in (document["spec"]["initContainers"][0], _main(document)):
        listed["volumeMounts"][0]["mountPath"] = "/run/models"
    document["spec"]["initContainers"][0]["args"][1] = "/run/models"
    _main(document)["args"] = ["--model_name=guard", "--model_dir=/run/models"]
    good = mutated(document)
    assert decide(good).allowed
    _mounted(f"{prefix}/models/x")(good)
    assert not decide(good).allowed


def test_a_server_that_reads_beside_what_is_compared_is_denied() -> None:
    document = served()
    assert decide(mutated(document)).allowed
    _main(document)["command"][2] = "/models"
    assert not decide(mutated(document)).allowed


@pytest.mark.parametrize("path", ["$(HOME)", "a b", "$X/guard"])
def test_a_path_that_somebody_expands_is_not_demanded(path: str) -> None:
    document = kserve()
    document["spec"]["initContainers"][0]["args"][1] = f"/mnt/models/{path}"
    assert ADMISSION.mutate(question(document), NOW) == ()


# --- sources without revisions ------------------------------------------------------------------------------------------------


def test_c4_a_claim_is_served_where_the_pod_compares_it_with_an_attested_digest() -> None:
    admission = an_admission(claim_store())
    operations = admission.mutate(question(claim()), NOW)
    assert [operation["path"] for operation in operations] == [
        "/spec/containers/0/volumeMounts/0/readOnly",
        "/spec/volumes/0/persistentVolumeClaim/readOnly",
        "/spec/initContainers",
    ]
    decision = decide(mutated(claim(), admission), admission)
    assert decision.allowed, decision.findings
    assert not decide(claim(), admission).allowed
    assert not decide(claim(read_only=True), admission).allowed


def test_c4_a_digest_that_nobody_attested_is_asked_for_and_pending() -> None:
    admission = an_admission(claim_store())
    other = claim(digest="sha256:" + "0" * 64)
    decision = decide(mutated(other, admission), admission)
    assert [finding.reason for finding in decision.findings] == [Reason.ATTESTATION_PENDING]
    assert [identity.key for identity in decision.wanted] == ["pvc://team-a/tenant/guard@content:sha256:" + "0" * 64]


def test_c4_a_digest_without_a_verifier_counts_nothing() -> None:
    store = claim_store()
    store.replace(Kind.POLICIES, [trusted.policy(requirements=[{"type": "Pinned"}])])
    admission = an_admission(store)
    assert admission.mutate(question(claim()), NOW) == ()
    assert [finding.reason for finding in decide(claim(), admission).findings] == [Reason.UNPINNED_REFERENCE]


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod["spec"]["volumes"].append({"name": "again", "persistentVolumeClaim": {"claimName": "tenant"}}),
        lambda pod: pod["spec"]["volumes"][0]["persistentVolumeClaim"].update(readOnly=False),
        lambda pod: pod["metadata"].update(annotations={}),
    ],
)
def test_a_claim_that_the_pod_could_write_to_is_denied(change: Change) -> None:
    admission = an_admission(claim_store())
    document = mutated(claim(), admission)
    assert decide(document, admission).allowed
    change(document)
    allowed = "modeltrust.dev/content-digests" not in document["metadata"]["annotations"]  # the verifier itself says it
    assert decide(document, admission).allowed is allowed


@pytest.mark.parametrize(("claim_name", "writable"), [("guard-again", True), ("any-again", True), ("tenant", False)])
def test_h12_a_claim_that_a_generic_ephemeral_volume_of_the_pod_may_own_is_writable(claim_name: str, *, writable: bool) -> None:
    """The claim of such a volume is called POD-VOLUME: the same bytes once more, past ``readOnly``."""
    document = claim(read_only=True)
    document["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = claim_name
    document["spec"]["volumes"].append({"name": "again", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}})
    _main(document)["volumeMounts"] = [{"name": "models", "mountPath": "/models", "readOnly": True}]
    assert ("ephemeral volume again" in Pod(json.dumps(document).encode()).writer("models", patched=False)) is writable


def test_a_claim_that_an_init_container_fills_is_not_made_read_only() -> None:
    admission = an_admission(claim_store())
    document = claim()
    mount = {"name": "models", "mountPath": "/models"}
    document["spec"]["initContainers"] = [{"name": "fill", "image": "x", "command": ["true"], "volumeMounts": [mount]}]
    assert admission.mutate(question(document), NOW) == ()
    assert not decide(document, admission).allowed


def test_an_image_volume_by_digest_is_compared_by_whoever_pulls_it() -> None:
    document = served()
    good = mutated(document)
    assert decide(good).allowed
    _mounted("/adapters/x")(good)
    assert not decide(good).allowed
