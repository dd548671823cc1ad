"""Whether a model's bytes are compared in the Pod with what the statement about it says."""

from modeltrust.domain.facts import Known
from modeltrust.policy.policy import Attested


def unverified_at_load(subject: Attested) -> str:
    """Why the bytes that this workload loads are not known to be the attested ones; empty where they are.

    Args:
        subject: the reference, with what ``admission.mutate`` says about its Pod, and the current statement.
    """
    at_load = subject.found.at_load
    if at_load is None:
        return "is not verified when it is loaded: nothing looked at how"
    if at_load.why:
        return f"is not verified when it is loaded: {at_load.why}"
    if at_load.digest is None:
        return ""  # verified by who loads it (an image by digest), or in the Pods that come out of this object
    content = subject.statement.content
    if not isinstance(content, Known):
        return "has a statement without a content digest, with which its bytes could be compared when it is loaded"
    if at_load.digest != content.value:
        return f"is compared with {at_load.digest} when it is loaded, expected the attested {content.value}"
    return ""
