"""JSON schemas of what the commands print: closed objects, so that no key comes or goes unseen (design/cli.md)."""

from typing import Any

import jsonschema

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DIGEST: Schema = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def closed(**properties: Any) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def array(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"enum": list(values)}


def validate(document: Any, schema: Schema) -> None:
    """Fail where the document has another shape."""
    jsonschema.validate(document, schema)
