"""JSON schemas of every Kubernetes version that the chart says it runs on, closed: a field that a version lacks is an error.

Derived by the PyPI package kubernetes-validate from each release's OpenAPI; its wheel (22 MB) is pinned by digest, cached outside
the checkout and read as an archive: none of its code runs. Kinds of others are not in it; an API server is asked about those
(e2e/test_chart.py).
"""

import json
import os
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

from tests.support import wheels

Object = dict[str, Any]

VERSIONS = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
_WHEEL = "kubernetes-validate==1.37.0"
_WHEEL_SHA256 = "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"
_FOLDER = "kubernetes_validate/kubernetes-json-schema/v{}.0-local-strict/"


def problems(value: Object, version: str) -> Iterator[str]:
    """What one version finds wrong with an object, one sentence each.

    Args:
        value: the object.
        version: one of VERSIONS.
    """
    validator = _validator(version, value["apiVersion"], value["kind"])
    if validator is None:
        yield f"Kubernetes {version} has no {value['kind']} in {value['apiVersion']}"
        return
    for error in validator.iter_errors(value):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"


@cache
def _validator(version: str, api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], number)))
    try:
        schema = json.loads(_archive().read(f"{_FOLDER.format(version)}{name}.json"))
    except KeyError:
        return None
    return jsonschema.Draft202012Validator(schema, registry=_registry(version))


@cache
def _registry(version: str) -> Registry[Any]:
    definitions = json.loads(_archive().read(f"{_FOLDER.format(version)}_definitions.json"))
    registry: Registry[Any] = Registry().with_resource(
        "https://kubernetes.io/api/_definitions.json", Resource.from_contents(definitions)
    )
    return registry


@cache
def _archive() -> zipfile.ZipFile:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "modeltrust" / "wheels" / f"{_WHEEL_SHA256[:16]}.whl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(wheels.fetched(_WHEEL, _WHEEL_SHA256))
        part.rename(path)
    return zipfile.ZipFile(path)
