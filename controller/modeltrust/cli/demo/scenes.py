"""The scenes: what is asked, what must be answered, and how the world changes in between."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modeltrust.cli.demo import objects
from modeltrust.cli.demo.server import Answer, Webhook
from modeltrust.cli.demo.world import World, add_auto_map, flip_one_byte, swap_for_pickle
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity

_SETTLE_SECONDS = 5.0  # a change in the trust folder must be seen within this time
_PAUSE_SECONDS = 0.02
_PENDING = {Reason.ATTESTATION_PENDING.value, Reason.EVALUATION_MISSING.value}


@dataclass(frozen=True, slots=True)
class Scene:
    """One question with the answer that is expected.

    Attributes:
        name: a sentence.
        workload: the object.
        expected: admit, warn, pending or deny.
        reasons: that must be among those of the answer.
        old: the object before, for an UPDATE.
        change: what happens first.
    """

    name: str
    workload: objects.Object
    expected: str
    reasons: tuple[Reason, ...] = ()
    old: objects.Object | None = None
    change: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What happened."""

    scene: Scene
    actual: str
    answer: Answer

    @property
    def as_expected(self) -> bool:
        """Whether outcome and reasons are those of the scene."""
        return self.actual == self.scene.expected and {r.value for r in self.scene.reasons} <= set(self.answer.reasons)


def play(scenes: tuple[Scene, ...], webhook: Webhook) -> Iterator[Played]:
    """Play every scene against the running webhook, waiting until a change in the world has been seen."""
    for scene in scenes:
        if scene.change is not None:
            scene.change()
        yield _settled(scene, webhook)


def _settled(scene: Scene, webhook: Webhook) -> Played:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        played = _ask(scene, webhook)
        if played is not None and (played.as_expected or time.monotonic() > deadline):
            return played
        if time.monotonic() > deadline:
            raise UnavailableError(f"the webhook gave no verdict on {scene.name!r} within {_SETTLE_SECONDS:.0f} s")
        time.sleep(_PAUSE_SECONDS)


def _ask(scene: Scene, webhook: Webhook) -> Played | None:
    try:
        answer = webhook.ask(objects.review(scene.workload, old=scene.old))
    except UnavailableError:
        return None
    return Played(scene, _outcome(answer), answer)


def _outcome(answer: Answer) -> str:
    if answer.allowed:
        return "warn" if answer.warnings else "admit"
    return "pending" if answer.reasons and set(answer.reasons) <= _PENDING else "deny"


def prepare(world: World) -> tuple[Scene, ...]:
    """Make the models and statements, and say what will be asked about them."""
    author = world.author
    good = world.model("guard-7b", sign=author)
    world.attest(good)
    scenes = [*_good(good), *_wrong_references(good), *_bad_models(world), *_approved(world), *_evaluated(world)]
    return (*scenes, *_incidents(world, good))


def _good(good: Identity) -> list[Scene]:
    model, commit = good.reference.path, str(good.pin)
    return [
        Scene("signed and pinned Deployment", objects.deployment(model, commit), "admit"),
        Scene("signed and pinned InferenceService", objects.inference_service(f"hf://{model}:{commit}"), "admit"),
        Scene("signed and pinned Pod, fetched by an init container", objects.pod(model, commit), "admit"),
    ]


def _wrong_references(good: Identity) -> list[Scene]:
    model, commit = good.reference.path, str(good.pin)
    unknown = hashlib.sha1(b"next", usedforsecurity=False).hexdigest()
    elsewhere = {"name": "HF_ENDPOINT", "value": "https://hub.evil.example"}
    draft = f'{{"model": "acme/draft", "revision": "{unknown}", "num_speculative_tokens": 3}}'
    drafted = objects.deployment(model, commit, extra=("--speculative-config", draft))
    return [
        Scene("the revision moves to a branch", objects.deployment(model, "main"), "deny", (Reason.UNPINNED_REFERENCE,)),
        Scene("no revision at all", objects.inference_service(f"hf://{model}"), "deny", (Reason.UNPINNED_REFERENCE,)),
        Scene("a commit that nobody verified yet", objects.deployment(model, unknown), "pending", (Reason.ATTESTATION_PENDING,)),
        Scene("another owner's model", objects.deployment("evil/guard-7b", commit), "deny", (Reason.SOURCE_NOT_ALLOWED,)),
        Scene(
            "the good commit from another hub",
            objects.deployment(model, commit, env=elsewhere),
            "deny",
            (Reason.SOURCE_NOT_ALLOWED,),
        ),
        Scene("a draft model that nobody verified yet", drafted, "pending", (Reason.ATTESTATION_PENDING,)),
        Scene(
            "--trust-remote-code", objects.deployment(model, commit, extra=("--trust-remote-code",)), "deny", (Reason.REMOTE_CODE,)
        ),
        Scene("a GPU Pod that names no model", objects.nameless_pod(), "deny", (Reason.UNRESOLVED_REFERENCE,)),
    ]


def _bad_models(world: World) -> list[Scene]:
    author = world.author
    unsigned = world.model("unsigned")
    strange = world.model("signed-by-a-stranger", sign=world.stranger)
    tampered = world.model("tampered", sign=author, after=flip_one_byte)
    coded = world.model("remote-code", sign=author, change=add_auto_map)
    pickled = world.model("pickled", sign=author, change=swap_for_pickle)
    forged = world.model("forged-statement", sign=author)
    for identity in (unsigned, strange, tampered, coded, pickled):
        world.attest(identity)
    world.attest(forged, key=world.stranger)
    return [
        Scene("nobody signed it", _deployed(unsigned), "deny", (Reason.UNSIGNED,)),
        Scene("nobody signed it, in a namespace that only warns", _deployed(unsigned, objects.WARNED), "warn"),
        Scene("a stranger signed it", _deployed(strange), "deny", (Reason.SIGNER_NOT_TRUSTED,)),
        Scene("one byte changed after signing", _deployed(tampered), "deny", (Reason.SIGNATURE_INVALID,)),
        Scene("auto_map in its configuration", _deployed(coded), "deny", (Reason.REMOTE_CODE,)),
        Scene("its weights swapped for a pickle", _deployed(pickled), "deny", (Reason.FORMAT_NOT_ALLOWED,)),
        Scene("a statement that somebody else signed", _deployed(forged), "deny", (Reason.STATEMENT_INVALID,)),
    ]


def _approved(world: World) -> list[Scene]:
    third = world.model("third-party", owner="community")
    world.attest(third, bundles=(world.approve(third),))
    return [Scene("a third party's model, approved by the platform team", _deployed(third), "admit")]


def _evaluated(world: World) -> list[Scene]:
    model = world.model("evaluated", sign=world.author)
    world.attest(model)
    workload = _deployed(model, objects.EVALUATED)
    return [
        Scene("its evaluation has not been run", workload, "pending", (Reason.EVALUATION_MISSING,)),
        Scene("its evaluation passed", workload, "admit", change=lambda: world.attest(model, evaluated=60)),
        Scene(
            "its evaluation is too old",
            workload,
            "deny",
            (Reason.EVALUATION_EXPIRED,),
            change=lambda: world.attest(model, evaluated=2 * 3600),
        ),
    ]


def _incidents(world: World, good: Identity) -> list[Scene]:
    workload = _deployed(good)
    labelled = {**workload, "metadata": {**workload["metadata"], "labels": {"app": "guard", "incident": "INC-1234"}}}
    signer = {"signers": [{"fingerprint": world.author.fingerprint}], "reason": "key stolen", "reference": "INC-1234"}
    return [
        Scene(
            "the signer's key is revoked", workload, "deny", (Reason.MODEL_REVOKED,), change=lambda: world.revoke("signer", signer)
        ),
        Scene("what runs can still be labelled, with a warning", labelled, "warn", old=workload),
    ]


def _deployed(identity: Identity, namespace: str = objects.ENFORCED) -> objects.Object:
    return objects.deployment(identity.reference.path, str(identity.pin), namespace=namespace)
