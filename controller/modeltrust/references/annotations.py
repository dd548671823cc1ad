"""Annotations that act: ours, which add, and those that a controller turns into containers."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidReferenceError, MalformedError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import parse_reference
from modeltrust.domain.workload import Confidence, FoundReference, Role
from modeltrust.references.mentions import Mention
from modeltrust.references.paths import escape
from modeltrust.references.scan import Scan
from modeltrust.references.schema import AnnotationRow
from modeltrust.references.tables import Tables

MODELS = "modeltrust.dev/models"
CONTENT_DIGESTS = "modeltrust.dev/content-digests"
_NOTHING: Mapping[str, ContentDigest] = MappingProxyType({})


def read_declared(scan: Scan, annotations: Mapping[str, str], pointer: str) -> frozenset[str]:
    """The annotation modeltrust.dev/models: ``["hf://acme/guard-7b@9f2c…"]``.

    Returns:
        Canonical text of each reference, without the revision.
    """
    text = annotations.get(MODELS)
    if text is None:
        return frozenset()
    locator = f"{pointer}/{escape(MODELS)}"
    declared: set[str] = set()
    try:
        for item in _strings(text):
            reference, revision = parse_reference(item)
            declared.add(reference.text)
            found = FoundReference(item, reference, revision, Role.UNKNOWN, locator, Confidence.DECLARED, "canonical")
            scan.add(found)
    except (MalformedError, InvalidReferenceError) as error:
        scan.problem(Reason.UNRESOLVED_REFERENCE, locator, str(error), fix='write ["hf://owner/name@<40 hex>"]')
        return frozenset()
    return frozenset(declared)


def read_content_digests(scan: Scan, annotations: Mapping[str, str], pointer: str) -> Mapping[str, ContentDigest]:
    """The annotation modeltrust.dev/content-digests: ``{"s3://bucket/m": "sha256:…"}``."""
    text = annotations.get(CONTENT_DIGESTS)
    if text is None:
        return _NOTHING
    locator = f"{pointer}/{escape(CONTENT_DIGESTS)}"
    try:
        return MappingProxyType(
            {parse_reference(name)[0].text: ContentDigest.parse(digest) for name, digest in _texts(text).items()}
        )
    except (MalformedError, InvalidReferenceError) as error:
        scan.problem(Reason.UNRESOLVED_REFERENCE, locator, str(error), fix='write {"s3://bucket/model": "sha256:<64 hex>"}')
        return _NOTHING


def matter(annotations: Mapping[str, str], tables: Tables) -> bool:
    """Whether any of them may act."""
    exact, starts = tables.annotations, tables.annotation_starts
    for key in annotations:  # noqa: SIM110 - a generator costs more than the loop
        if key in exact or key.startswith(starts):
            return True
    return False


def read_acting(scan: Scan, annotations: Mapping[str, str], pointer: str) -> Iterator[tuple[Mention, AnnotationRow]]:
    """Annotations of other controllers: a mention each, with what is known of the annotation."""
    tables = scan.tables
    for key, text in annotations.items():
        row = tables.annotations.get(key)
        if row is None and key.startswith(tables.annotation_starts):
            row = next((row for prefix, row in tables.annotation_prefixes if key.startswith(prefix)), None)
        if row is None or not text:
            continue
        locator = f"{pointer}/{escape(key)}"
        if row.use == "resolver":
            scan.problem(Reason.UNDECLARED_RESOLVER, locator, f"annotation {key} changes where the bytes come from", value=text)
        elif row.use != "ignore":
            optional = row.use in {"code", "config"}
            mention = Mention(Role(row.use), text, row.profile, locator, Confidence.DECLARED, optional=optional)
            yield mention, row


def _strings(text: str) -> list[str]:
    value = strict_json.loads(text.encode("utf-8", "replace"), max_bytes=limits.ANNOTATION_BYTES)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError("got another form, expected a JSON list of references")
    return value


def _texts(text: str) -> dict[str, str]:
    value = strict_json.loads(text.encode("utf-8", "replace"), max_bytes=limits.ANNOTATION_BYTES)
    if not isinstance(value, dict) or not all(isinstance(digest, str) for digest in value.values()):
        raise MalformedError("got another form, expected a JSON object of references and digests")
    return value
