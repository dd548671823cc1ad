"""ServingImage: what asks for an accelerator runs an allowed image and loads a model that can be named.

Without it, whoever is free to choose the image is free to load anything (attack C7). Images count by digest only; the tag beside a
digest is ignored, as the kubelet does. Pods without accelerators are not judged, and neither are the sidecars of a Pod with them.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.globs import Glob
from modeltrust.domain.locator import path_of
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import FoundImage, Role, Workload
from modeltrust.policy.policy import Trust
from modeltrust.policy.scopes import within
from modeltrust.policy.wording import listed

_PASS = (Finding("servingImage", Status.PASS),)
_SKIP = (Finding("servingImage", Status.SKIP, message="asks for no accelerator"),)
_NO_MODEL = (Role.TOKENIZER, Role.CODE, Role.CONFIG)  # compared by identity first; a set would ask an enumeration for its hash
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class ServingImage:
    """Only allowed images get an accelerator, and only with a model that can be named.

    Attributes:
        allowed: globs over ``registry/repository@sha256:…``; empty allows nothing.
    """

    allowed: tuple[Glob, ...]
    name: ClassVar[str] = "servingImage"

    def check(self, subject: Workload, trust: Trust) -> tuple[Finding, ...]:  # noqa: ARG002 - the one shape
        """Skip without accelerator; else pass, or ImageNotAllowed and UnresolvedReference."""
        serving = [image for image in subject.images if image.accelerator]
        if not subject.accelerators and not serving:
            return _SKIP
        problems = [problem for image in serving or subject.images if (problem := self._problem(image)) is not None]
        if not [found for found in subject.references if found.role not in _NO_MODEL]:
            problems.append(
                Finding(
                    "servingImage",
                    Status.FAIL,
                    Reason.UNRESOLVED_REFERENCE,
                    "asks for an accelerator and names no model",
                    "name the model in the server's arguments, or declare it: modeltrust.dev/models: '[\"hf://owner/name@<commit>\"]'",
                )
            )
        return tuple(problems) or _PASS

    def _problem(self, image: FoundImage) -> Finding | None:
        canonical = _canonical(image.reference)
        if canonical is None:
            problem = "is not pinned by digest"
        elif within(self.allowed, canonical.partition("@")[0], canonical):
            return None
        else:
            problem = f"is not allowed; expected {listed((glob.pattern for glob in self.allowed), quoted=True)}"
        return Finding(
            "servingImage",
            Status.FAIL,
            Reason.IMAGE_NOT_ALLOWED,
            f"image {quote(image.reference)} at {path_of(image.locator)} {problem}",
            "use an allowed image by digest",
            locator=image.locator,
        )


def _canonical(image: str) -> str | None:
    """Name and digest without tag; None without digest."""
    name, at, digest = image.partition("@")
    if not name or _DIGEST.fullmatch(digest) is None:
        return None
    if ":" in name:
        name = _TAG.sub("", name) if "/" in name else name.partition(":")[0]
    return name + at + digest
