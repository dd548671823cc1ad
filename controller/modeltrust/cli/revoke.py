"""`modeltrust revoke …`: one command at two in the morning; nothing new starts, what runs is listed with its owners."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from modeltrust.api.compile import check_revocation
from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.cli import options
from modeltrust.cli.cluster import reaching, trusted, trusting
from modeltrust.cli.output import json as json_output
from modeltrust.cli.running import Hits, affected
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer
from modeltrust.kube.workloads import Link
from modeltrust.store.last_good import last_good
from modeltrust.wiring.snapshot import Trusted

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_SLUG_CHARACTERS = 40
_SHOWN = 200  # workloads printed one by one; the rest is counted


@click.command("revoke")
@reaching
@click.option("--model", metavar="REF", multiple=True, help="canonical reference or glob, with or without @revision")
@click.option("--content-digest", metavar="sha256:…", multiple=True, help="the same bytes under any name")
@click.option("--signer", metavar="FINGERPRINT|IDENTITY", multiple=True, help="64 hex of a key, or a certificate's subject")
@click.option("--issuer", metavar="URL", help="who issued the IDENTITY; required with one")
@click.option("--signed-after", metavar="TIME", help="only signatures made later count as revoked (RFC 3339)")
@click.option("--reason", required=True, help="a sentence; everybody who is denied reads it")
@click.option("--reference", metavar="INC-…", required=True, help="where this incident is handled")
@click.option("--action", type=click.Choice(["DenyNew", "Quarantine"]), default="DenyNew", show_default=True)
@click.option("--apply", "applying", is_flag=True, help="create it; without, it is printed and nothing changes")
@trusting
@click.option("--now", metavar="TIME", help="judge as of this time (RFC 3339)")
@options.output("json")
def command(  # noqa: PLR0913 - one parameter per option
    *,
    api: ApiServer,
    model: tuple[str, ...],
    content_digest: tuple[str, ...],
    signer: tuple[str, ...],
    issuer: str | None,
    signed_after: str | None,
    reason: str,
    reference: str,
    action: str,
    applying: bool,
    trust: str | None,
    attestors: Path | None,
    now: str | None,
    output: str,
) -> None:
    """Nothing new starts with this model, content or signer; prints what runs with it, and the last good revision.

    Without --apply the ModelRevocation is printed for `kubectl apply -f -`, and the report goes to standard error.

    \b
    Examples:
      modeltrust revoke --model hf://acme/guard-7b@9f2c… --reason "backdoor" --reference INC-1234 --apply
      modeltrust revoke --content-digest sha256:… --reason "the same bytes, re-signed" --reference INC-1234 --apply
      modeltrust revoke --signer 1f0b… --reason "key lost" --reference INC-7 --action Quarantine | kubectl apply -f -
    """
    lists: dict[str, Any] = {
        "models": list(model),
        "contentDigests": list(content_digest),
        "signers": _signers(signer, issuer, signed_after),
    }
    document = revocation(lists, reason=reason, reference=reference, action=action)
    created = _create(api, document) if applying else False  # first: whatever is looked at afterwards takes time, and may fail
    if applying:
        force = "created" if created else "is in force already"
        said = f"ModelRevocation {document['metadata']['name']} {force}: nothing new starts with it"
        click.secho(said, fg="green", err=output == "json")
    moment = options.parse_now(now)
    trusts = trusted(api, trust=trust, attestors=attestors, now=moment)
    hits = affected(api, trusts, document, moment)
    revocations = (*trusts.store.snapshot().revocations, hits.revocation)
    good = last_good(_attestations(api), trusts.store, revocations, {*hits.models, *model}, moment)
    report = {"applied": applying, "name": document["metadata"]["name"], "created": created, "revocation": document}
    if output == "json":
        json_output.write(report | _report(hits, good, trusts))
        return
    if not applying:
        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
    _write_text(document, hits, good, trusts, applied=applying)


def revocation(lists: Mapping[str, list[Any]], *, reason: str, reference: str, action: str) -> dict[str, Any]:
    """The object; the same incident and targets give the same name, so that typing it twice creates it once.

    Raises:
        InvalidInputError: nothing is named, or something cannot be revoked so.
    """
    spec: dict[str, Any] = {name: entries for name, entries in lists.items() if entries}
    if not spec:
        raise InvalidInputError("expected --model, --content-digest or --signer: what is revoked")
    spec |= {"reason": reason, "reference": reference, "action": action}
    slug = _NOT_IN_NAMES.sub("-", reference.lower()).strip("-")[:_SLUG_CHARACTERS].strip("-") or "revocation"
    stamp = hashlib.sha256(json.dumps(dict(lists), sort_keys=True).encode()).hexdigest()[:8]
    document = {
        "apiVersion": API_VERSION,
        "kind": "ModelRevocation",
        "metadata": {"name": f"{slug}-{stamp}"},
        "spec": spec,
    }
    check_revocation(document)
    return document


def _signers(named: tuple[str, ...], issuer: str | None, signed_after: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in named:
        if _FINGERPRINT.fullmatch(name):
            found.append({"fingerprint": name})
        elif issuer is None:
            raise InvalidInputError(f"got the signer {quote(name)}, expected 64 hex of a key, or --issuer with an identity")
        else:
            found.append({"identity": {"issuer": issuer, "subject": name}})
    if not found and (issuer or signed_after):
        raise InvalidInputError("got --issuer or --signed-after without --signer, expected both")
    return [entry | ({"signedAfter": signed_after} if signed_after else {}) for entry in found]


def _create(api: ApiServer, document: dict[str, Any]) -> bool:
    """Create it; False where this very revocation is in force already.

    Raises:
        InvalidInputError: another one has its name.
    """
    if api.create_object(paths.ours("modelrevocations"), document) is not None:
        return True
    name = document["metadata"]["name"]
    there = api.get_object(paths.ours("modelrevocations", name))
    if there.get("spec") != document["spec"]:
        raise InvalidInputError(f"there is another ModelRevocation {name} already; expected the same, or edit that one")
    return False


def _attestations(api: ApiServer) -> Iterable[Mapping[str, Any]]:
    try:
        yield from api.list_objects(paths.ours("modelattestations"))
    except ModelTrustError:
        return  # the last good revision is help, not the answer


def _report(hits: Hits, good: Mapping[str, str], trusts: Trusted) -> dict[str, Any]:
    return {
        "workloads": [
            {"namespace": link.namespace, "kind": link.kind, "name": link.name, "models": sorted(models)}
            for link, models in _sorted(hits)
        ],
        "lastGood": [{"model": model, "good": key} for model, key in good.items()],
        "notListed": list(hits.not_listed),
        "problems": [*_untold(hits), *trusts.problems],
    }


def _sorted(hits: Hits) -> list[tuple[Link, set[str]]]:
    return sorted(hits.workloads.items(), key=lambda pair: (pair[0].namespace, pair[0].kind, pair[0].name))


def _write_text(document: Mapping[str, Any], hits: Hits, good: Mapping[str, str], trusts: Trusted, *, applied: bool) -> None:
    def say(line: str) -> None:
        click.echo(line, err=not applied)

    if not applied:
        say(f"not applied: --apply creates ModelRevocation {document['metadata']['name']}, or pipe this to kubectl apply -f -")
    say(f"{len(hits.workloads)} {'workload runs' if len(hits.workloads) == 1 else 'workloads run'} with it")
    listed = _sorted(hits)
    for link, models in listed[:_SHOWN]:
        say(f"  {link.namespace or '-'}  {link.kind}/{link.name}  {', '.join(sorted(models))}")
    if len(listed) > _SHOWN:
        say(f"  and {len(listed) - _SHOWN} more; -o json lists all")
    for model in sorted({model.partition("@")[0] for model in hits.models} | set(good)):
        say(f"last good revision of {model}: {good.get(model, 'none is attested')}")
    if document["spec"]["action"] == "DenyNew" and hits.workloads:
        say("what runs keeps running until it restarts; --action Quarantine isolates it")
    for note in _notes(hits, trusts, document):
        click.echo(f"modeltrust: {note}", err=True)


def _untold(hits: Hits) -> list[str]:
    """Workloads of which it cannot be told whether they run with it, which is not that they do not."""
    whys = (
        ("not read, an unknown form", hits.not_read),
        ("load something that cannot be named", hits.not_named),
        ("run a model of which no statement says what is in it and who signed it", hits.not_known),
    )
    return [f"{why}: {_named(links)}; whether they run with it cannot be told" for why, links in whys if links]


def _named(links: Iterable[Link]) -> str:
    names = sorted(f"{link.kind}/{link.name} in {link.namespace or '-'}" for link in links)
    return ", ".join(names[:_SHOWN]) + f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN)


def _notes(hits: Hits, trusts: Trusted, document: Mapping[str, Any]) -> list[str]:
    notes = [f"not listed, no permission: {', '.join(hits.not_listed)}; what runs there is missing above"] * bool(hits.not_listed)
    notes += _untold(hits)
    notes += trusts.problems
    if not trusts.attestors and ("contentDigests" in document["spec"] or "signers" in document["spec"]):
        notes.append("no attestor file was found, so what runs with this content or signer cannot be told; --attestors FILE")
    return notes
