"""EvaluationSuite objects as people write them."""

from typing import Any


def a_suite(**probes: Any) -> dict[str, Any]:
    """A small suite with the operator's prompts, served by llama.cpp."""
    return {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "EvaluationSuite",
        "metadata": {"name": "canary"},
        "spec": {
            "probes": {"families": ["DeploymentTag"], "perFamily": 12, "operatorPrompts": {"secretName": "prompts"}, **probes},
            "decision": {"alpha": "0.01", "margin": "0.05"},
            "baseline": {"from": "Lineage"},
            "serving": {"engine": "LlamaCpp", "image": "registry.acme.example/llama@sha256:" + "1" * 64},
        },
    }
