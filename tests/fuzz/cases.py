"""One case of the fuzzer: made from a seed and a number alone, so that it can be made again."""

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import launches, noise, places
from tests.fuzz.disguises import DISGUISES, Disguise
from tests.fuzz.launches import Launch
from tests.fuzz.world import ENFORCED, IMAGES, encoded, review
from tests.support import reviews

Object = dict[str, Any]

EVIL, GOOD, NOISE = "evil", "good", "noise"
MANIFESTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "manifests"  # other people's; present on some machines
_DISGUISES = 4
_NOISE = 6


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked, and what must come out.

    Attributes:
        oracle: ``evil`` must be denied; ``good`` should be admitted, which is counted and no promise; ``noise`` is judged by
            the reference.
        label: what it is, in words.
        disguises: what was done to it.
        body: the review.
        endpoint: whether it goes through the ASGI function instead of the answerer.
    """

    oracle: str
    label: str
    disguises: tuple[str, ...]
    body: bytes
    endpoint: bool = False


class Generator:
    """Makes cases."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._found = _manifests()

    def case(self, number: int, *, without: frozenset[str] = frozenset()) -> Case:
        """The case of a number; some disguises can be left out to find those that matter."""
        rng = random.Random(f"{self._seed}:{number}")  # noqa: S311 - to be repeated, not to be secret
        draw = rng.random()
        if draw < 0.70:
            return self._launched(rng, EVIL, launches.evil(rng), without)
        if draw < 0.78:
            return self._launched(rng, GOOD, launches.good(), without)
        if draw < 0.83:
            label, obj = places.annotated(rng) if rng.random() < 0.2 else places.field_object(rng)
            return _asked(rng, EVIL, label, (), obj)
        if draw < 0.84:
            return _other_image(rng)
        return self._noise(rng)

    def _launched(self, rng: random.Random, oracle: str, launch: Launch, without: frozenset[str]) -> Case:
        fitting = [each for each in DISGUISES if each.name not in launch.flaws and each.fits(launch)]
        chosen = rng.sample(fitting, min(len(fitting), rng.randint(0, _DISGUISES)))
        used = _disguised(rng, launch, chosen, without)
        spec, place = places.pod_spec(rng, launch)
        kind, build = rng.choice(places.KINDS)
        return _asked(rng, oracle, f"{launch.label}, {place} of a {kind}", used, build(spec))

    def _noise(self, rng: random.Random) -> Case:
        obj = copy.deepcopy(rng.choice(self._found)) if self._found and rng.random() < 0.3 else _real(rng)
        old = copy.deepcopy(obj) if rng.random() < 0.3 else None
        document = review(obj, old=old)
        done = [noise.damage(rng, document) for _ in range(rng.randint(0, _NOISE))]
        body = encoded(document)
        if rng.random() < 0.3:
            name, body = noise.break_bytes(rng, body)
            done.append(name)
        return Case(NOISE, f"noise on {obj.get('kind')}", tuple(done), body, rng.random() < 0.1)


def _disguised(rng: random.Random, launch: Launch, chosen: list[Disguise], without: frozenset[str]) -> tuple[str, ...]:
    used = []
    for each in sorted(chosen, key=lambda each: each.stage):
        own = random.Random(rng.random())  # noqa: S311 - leaving one out must not change the others
        if each.name not in without and each.fits(launch):
            each.apply(own, launch)
            used.append(each.name)
    return tuple(used)


def _asked(rng: random.Random, oracle: str, label: str, used: tuple[str, ...], obj: Object) -> Case:
    """Ask by CREATE, dry-run, or by an UPDATE from something attested."""
    old = reviews.pod() | {"apiVersion": obj["apiVersion"], "kind": obj["kind"]} if rng.random() < 0.25 else None
    document = review(obj, old=old)
    request = document["request"]
    if old is not None and rng.random() < 0.3:
        request["subResource"] = rng.choice(["ephemeralcontainers", "resize", "status", "scale"])
    if rng.random() < 0.3:
        labels = {"modeltrust.dev/skip": "true", "modeltrust.dev/tier": "dev", "app": "guard"}
        obj["metadata"] = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), **labels}}
    if rng.random() < 0.1:
        obj["metadata"] = {**obj["metadata"], "deletionTimestamp": "2026-11-20T10:11:12Z", "finalizers": ["x"]}
    return Case(oracle, label, used, encoded(document), rng.random() < 0.05)


def _other_image(rng: random.Random) -> Case:
    """C2: an image is changed, in a namespace where policy says which images may serve."""
    old = reviews.pod(namespace=IMAGES)
    new = copy.deepcopy(old)
    image = rng.choice(
        ["registry.evil.example/vllm@sha256:" + "66" * 32, "vllm/vllm-openai:latest", "registry.acme.example.evil.io/x:1"]
    )
    new["spec"]["containers"][0]["image"] = image  # the one that asks for an accelerator
    document = review(new, old=old if rng.random() < 0.7 else None, namespace=IMAGES)
    return Case(EVIL, f"the image becomes {image}", (), encoded(document))


def _real(rng: random.Random) -> Object:
    made = rng.choice([reviews.pod(), reviews.deployment(), reviews.inference_service()])
    return copy.deepcopy(made)  # parts are shared, and noise changes in place


def _manifests() -> list[Object]:
    found = []
    for path in sorted(MANIFESTS.glob("*.yaml")):
        try:
            documents = list(yaml.load_all(path.read_bytes(), Loader=yaml.CSafeLoader))
            found += [
                json.loads(json.dumps(each)) for each in documents if isinstance(each, dict) and isinstance(each.get("kind"), str)
            ]
        except (yaml.YAMLError, TypeError):
            continue  # other people's templates
    for each in found:
        each.setdefault("metadata", {})["namespace"] = ENFORCED
    return found
