"""The rules of both webhooks, generated from the tables of workload kinds; the chart reads them as a file."""

from collections.abc import Mapping

import yaml

from modeltrust.api.webhooks import rules
from modeltrust.wiring.rows import load_tables


def generate() -> Mapping[str, str]:
    """{path: text}."""
    rows = list({id(row): row for row in load_tables().kinds.values()}.values())
    document = {"ignore": rules(rows, fail=False), "fail": rules(rows, fail=True)}
    head = "# Generated from controller/modeltrust/references/rows by `make generate`: do not edit.\n"
    return {"charts/modeltrust/files/webhook-rules.yaml": head + yaml.safe_dump(document, sort_keys=False, width=132)}
