"""From what people write (``api.v1alpha1``) to what decides (``policy`` and ``domain``)."""

from collections.abc import Callable, Mapping
from typing import Any

from modeltrust.api.compile.attestations import attestation_identity as attestation_identity
from modeltrust.api.compile.attestations import evidence_of as evidence_of
from modeltrust.api.compile.attestations import statements_of as statements_of
from modeltrust.api.compile.exemptions import check_exemption as check_exemption
from modeltrust.api.compile.exemptions import compile_exemption as compile_exemption
from modeltrust.api.compile.mappings import UnprovenError as UnprovenError
from modeltrust.api.compile.mappings import check_mapping as check_mapping
from modeltrust.api.compile.mappings import compile_mapping as compile_mapping
from modeltrust.api.compile.policies import check_policy as check_policy
from modeltrust.api.compile.policies import compile_policy as compile_policy
from modeltrust.api.compile.policies import effective_requirements as effective_requirements
from modeltrust.api.compile.revocations import check_revocation as check_revocation
from modeltrust.api.compile.revocations import compile_revocation as compile_revocation
from modeltrust.api.compile.signers import compile_signer as compile_signer
from modeltrust.api.compile.sources import compile_source as compile_source
from modeltrust.api.compile.suites import compile_suite as compile_suite
from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.references.extract import Extractor

_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "TrustedSigner": compile_signer,
    "ModelSource": compile_source,
    "ModelPolicy": check_policy,
    "ModelAttestation": attestation_identity,
    "ModelRevocation": check_revocation,
    "PolicyExemption": check_exemption,
    "EvaluationSuite": compile_suite,
}


def check_object(obj: Mapping[str, Any], extractor: Extractor) -> None:
    """Refuse an object of ours that the compiler cannot use, whatever its kind: for the webhook and the command line.

    Args:
        obj: the object.
        extractor: reads the objects in the tests of a ModelReferenceMapping.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    name = obj.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidInputError(f"kind: got {quote(name)}, expected one of {', '.join(KINDS)}")
    if obj.get("apiVersion") != API_VERSION:
        raise InvalidInputError(f"apiVersion: got {quote(obj.get('apiVersion'))}, expected {API_VERSION}")
    check = _CHECKS.get(kind.name)
    if check is None:
        check_mapping(obj, extractor)
    else:
        check(obj)
