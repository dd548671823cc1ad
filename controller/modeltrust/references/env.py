"""The environment of a container, as the kubelet would build it, as far as it can be known.

An explicit entry wins over ``envFrom``; of two entries with one name the last wins; ``$(VAR)`` expands from earlier
entries only, ``$$`` escapes, an unknown name stays verbatim (facts/workloads.md §10.4).
"""

import re
from collections.abc import Collection

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import bound
from modeltrust.references.pod import Container, EnvFrom, EnvSource

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")


class Environment(msgspec.Struct, gc=False):
    """Names and values.

    Attributes:
        values: by name; None where a value exists and cannot be known.
        prefixes: prefixes of the ``envFrom`` entries: any name that starts with one may have any value.
        sources: what these entries point at, for messages.
        given: what gives the values that another object does, until a script changes them.
        left: bytes that expansion may still make.
        resolving: names of those that decide where bytes come from, once somebody has looked.
    """

    values: dict[str, str | None] = {}
    prefixes: list[str] = []
    sources: list[str] = []
    given: dict[str, EnvSource] = {}
    left: int = limits.ENVIRONMENT_BYTES
    resolving: list[str] | None = None

    def expand(self, text: str) -> str:
        """Expand ``$(VAR)`` as the kubelet does.

        Raises:
            LimitExceededError: the results have grown too large together (attack H11).
        """
        if "$" not in text:
            return text
        start, parts, size = 0, [], 0
        for match in _REFERENCE.finditer(text):
            name = match[1]
            value = "$" if name is None else self.values.get(name)
            part = text[start : match.start()] + (match[0] if value is None else value)
            start = match.end()
            parts.append(part)
            size += len(part)
            if size > self.left:
                raise LimitExceededError(f"got an environment of more than {limits.ENVIRONMENT_BYTES} bytes")
        if not parts:
            return text
        self.left -= size
        return "".join(parts) + text[start:]

    def opaque(self, name: str) -> bool:
        """Whether the name may have a value that cannot be known."""
        if name in self.values:
            return self.values[name] is None
        return any(name.startswith(prefix) for prefix in self.prefixes)

    def one_word(self, name: str) -> bool:
        """Whether the value of a name cannot be known and is one word."""
        source = self.given.get(name)
        return source is not None and source.one_word

    def forget(self, names: Collection[str]) -> None:
        """From here on a script may have set these to anything, of as many words as it likes."""
        self.values.update(dict.fromkeys(names))
        for name in names:
            self.given.pop(name, None)

    def copy(self) -> "Environment":
        """The same, for a script that changes it."""
        return Environment(dict(self.values), self.prefixes, self.sources, dict(self.given), self.left)


def environment(container: Container) -> Environment:
    """Build the environment of a container.

    Raises:
        LimitExceededError: too many entries, or too large after expansion.
    """
    built = Environment()
    if container.env_from:
        for source in container.env_from:
            _add_source(built, source)
    entries = container.env
    if not entries:
        return built
    if len(entries) > limits.ENVIRONMENT_ENTRIES:
        bound(len(entries), limits.ENVIRONMENT_ENTRIES, "env entries")
    values = built.values
    for entry in entries:
        value = entry.value
        if entry.value_from is not None:
            values[entry.name] = None
            built.given[entry.name] = entry.value_from
        elif value and "$" in value:
            values[entry.name] = built.expand(value)
        else:
            values[entry.name] = value or ""
    return built


def _add_source(built: Environment, entry: EnvFrom) -> None:
    bound(len(built.prefixes), limits.ENVIRONMENT_ENTRIES, "envFrom entries")
    built.prefixes.append(entry.prefix or "")
    if entry.config_map_ref is not None:
        built.sources.append(f"ConfigMap {entry.config_map_ref.name}")
    elif entry.secret_ref is not None:
        built.sources.append(f"Secret {entry.secret_ref.name}")
