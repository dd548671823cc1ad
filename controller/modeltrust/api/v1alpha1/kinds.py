"""All eight kinds."""

from collections.abc import Mapping
from typing import Any

from modeltrust.api.v1alpha1 import (
    evaluation_suite,
    model_attestation,
    model_policy,
    model_reference_mapping,
    model_revocation,
    model_source,
    policy_exemption,
    trusted_signer,
)
from modeltrust.api.v1alpha1.kind import Kind

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        trusted_signer.KIND,
        model_source.KIND,
        model_policy.KIND,
        model_attestation.KIND,
        evaluation_suite.KIND,
        model_revocation.KIND,
        policy_exemption.KIND,
        model_reference_mapping.KIND,
    )
}
