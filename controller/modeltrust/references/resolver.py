"""Which server turns a reference into bytes: part of the reference's identity (attack C1).

A literal endpoint is its own identity. What cannot be known, or sends everything elsewhere, is UndeclaredResolver. An
explicit variable wins over ``envFrom``; a token decides no address and is fine.
"""

from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import ModelReference, RevisionState, model_reference
from modeltrust.references.env import Environment
from modeltrust.references.mentions import Mention, is_true
from modeltrust.references.scan import Scan
from modeltrust.references.schema import ResolverRow
from modeltrust.references.uris import Named

_DEFAULT_HUB = "https://huggingface.co"
_MAIN_VARIABLE = {"hf": "HF_ENDPOINT", "s3": "AWS_ENDPOINT_URL"}
_DIGEST = RevisionState.DIGEST
_ANY_VARIABLE = "HTTPS_PROXY"
_SECURE = ("1", "true")  # of S3_USE_HTTPS, which is 1 where it is not there
_HUB_SCHEMES = {"modelscope": "ms", "openmind": "openmind"}


def apply(scan: Scan, mention: Mention, named: Named, environment: Environment, pointer: str) -> ModelReference:
    """The reference as this container would resolve it.

    Args:
        scan: the extraction.
        mention: where it was found.
        named: what it names with the default resolver.
        environment: of the program that loads it.
        pointer: of the container.
    """
    reference = named.reference
    if reference.scheme == "oci" and named.revision.state is _DIGEST:
        return reference  # the client itself compares the digest
    names = environment.resolving if environment.values else ()
    if names is None:
        names = environment.resolving = sorted(filter(scan.tables.servers.__contains__, environment.values))
    server = ""
    for name in names:
        row = scan.tables.resolvers[name]
        if row.schemes and reference.scheme not in row.schemes:
            continue
        resolved = _variable(scan, row, name, reference, environment, pointer)
        if row.endpoint and environment.values[name]:
            if server and resolved.resolver != reference.resolver:
                _disagree(scan, server, name, reference, pointer)
            server = server or name
        reference = resolved
    if environment.prefixes:
        _sources(scan, reference, environment, pointer)
    if mention.endpoint:
        reference = _endpoint(scan, mention.endpoint, reference, mention.locator, "endpoint option")
    return reference


def _variable(
    scan: Scan, row: ResolverRow, name: str, reference: ModelReference, environment: Environment, pointer: str
) -> ModelReference:
    value = environment.values[name]
    if value == "":
        return reference
    locator = f"{pointer}/env/{name}"
    if value is None:
        message = f"{name} takes its value from another object, so the server behind {reference} cannot be known"
        _problem(scan, locator, message, name, f"state {name} literally")
        return reference
    if row.endpoint:
        address = _with_scheme(row, value, environment) if row.secure else value
        return _endpoint(scan, address, reference, locator, name)
    if row.hub:
        return _other_hub(row, reference) if is_true(value) else reference
    _problem(scan, locator, f"{name} can send the download of {reference} to another server", value, f"remove {name}")
    return reference


def _endpoint(scan: Scan, value: str, reference: ModelReference, locator: str, name: str) -> ModelReference:
    address = value.rstrip("/")
    if address == _DEFAULT_HUB and reference.scheme == "hf":
        return reference if reference.resolver is None else model_reference(reference.scheme, reference.path)
    try:
        return model_reference(reference.scheme, reference.path, resolver=address)
    except InvalidReferenceError:
        _problem(scan, locator, f"{name} is no plain https://host", value, f"state {name} as https://host")
        return reference


def _with_scheme(row: ResolverRow, value: str, environment: Environment) -> str:
    if "://" in value:
        return value
    return f"https://{value}" if environment.values.get(row.secure, "1") in _SECURE else f"http://{value}"


def _disagree(scan: Scan, one: str, other: str, reference: ModelReference, pointer: str) -> None:
    """C1: which of two variables counts depends on the program, so the better one could cover for the one that is used."""
    message = f"{one} and {other} name different servers, so the one behind {reference} cannot be known"
    _problem(scan, f"{pointer}/env/{other}", message, other, f"state one server in {one} and remove {other}")


def _other_hub(row: ResolverRow, reference: ModelReference) -> ModelReference:
    return model_reference(_HUB_SCHEMES.get(row.hub, row.hub), reference.path)


def _sources(scan: Scan, reference: ModelReference, environment: Environment, pointer: str) -> None:
    name = _MAIN_VARIABLE.get(reference.scheme, _ANY_VARIABLE)
    if name in environment.values or not environment.opaque(name):
        return
    source = ", ".join(environment.sources) or "envFrom"
    value = f"{name}: {_DEFAULT_HUB}" if name == "HF_ENDPOINT" else name
    message = f"envFrom ({source}) may set {name}, so the server behind {reference} cannot be known"
    _problem(scan, f"{pointer}/envFrom", message, source, f"state {value} in env; an explicit entry wins over envFrom")


def _problem(scan: Scan, locator: str, message: str, value: str, fix: str) -> None:
    scan.problem(Reason.UNDECLARED_RESOLVER, locator, message, value=value, fix=fix)
