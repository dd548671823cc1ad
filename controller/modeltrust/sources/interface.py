"""What the sources share: how they report progress and what they carry as credentials. The protocol is ``domain.source``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of bytes read since the last call, never from two threads at once."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A platform account at exactly one host (attack H2); never shown.

    Attributes:
        host: ``host[:port]`` as in the reference; credentials for another host are not sent.
        username: of the account.
        password: or access token.
    """

    host: str
    username: str = field(repr=False)
    password: str = field(repr=False)
