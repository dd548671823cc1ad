"""Words that the API closes over are those that other packages write into evidence: any other could never match."""

from importlib import resources
from typing import get_args

import yaml

from modeltrust.api.compile.attestations import STATEMENT_PREDICATE
from modeltrust.api.v1alpha1.model_policy import FormatName
from modeltrust.api.v1alpha1.policy_exemption import ExemptableReason
from modeltrust.api.v1alpha1.trusted_signer import ClaimName
from modeltrust.attestation import wire
from modeltrust.domain.reasons import Reason
from modeltrust.policy.exemptions import NEVER_EXEMPT
from modeltrust.signing.fulcio import CLAIMS


def test_claims_are_those_that_certificates_are_read_for() -> None:
    assert set(get_args(ClaimName)) == CLAIMS


def test_formats_are_those_that_weights_are_recognised_as() -> None:
    rows = yaml.safe_load(resources.files("modeltrust.formats").joinpath("rows/files.yaml").read_text(encoding="utf-8"))
    entries = [row for part in rows.values() if isinstance(part, list) for row in part if isinstance(row, dict)]
    assert set(get_args(FormatName)) == {row["weights"] for row in entries if row.get("weights")}


def test_reasons_that_can_be_exempted_exist_and_exclude_the_absolute_ones() -> None:
    reasons = set(get_args(ExemptableReason))
    assert reasons <= {reason.value for reason in Reason}
    assert not reasons & {reason.value for reason in NEVER_EXEMPT}


def test_a_statement_has_one_predicate_type() -> None:
    assert STATEMENT_PREDICATE == wire.PREDICATE_TYPE
