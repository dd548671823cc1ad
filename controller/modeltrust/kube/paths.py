"""Where objects are at an API server."""

from urllib.parse import quote

_GROUP = "/apis/modeltrust.dev/v1alpha1"


def ours(plural: str, name: str = "") -> str:
    """Of one of our kinds (all cluster-scoped): the collection, or one object."""
    return _named(f"{_GROUP}/{plural}", name)


def core(plural: str, name: str = "", *, namespace: str = "") -> str:
    """Of a kind of the core group, such as ``secrets``."""
    return _named(_in("/api/v1", namespace, plural), name)


def group(group_version: str, plural: str, name: str = "", *, namespace: str = "") -> str:
    """Of a kind of another group, such as ``batch/v1``, ``jobs``."""
    return _named(_in(f"/apis/{group_version}", namespace, plural), name)


def _in(prefix: str, namespace: str, plural: str) -> str:
    return f"{prefix}/namespaces/{quote(namespace, safe='')}/{plural}" if namespace else f"{prefix}/{plural}"


def _named(path: str, name: str) -> str:
    return f"{path}/{quote(name, safe='')}" if name else path
