"""Which addresses a source may be reached at (attack H2: the worker as a way into the cluster's own network).

Names are resolved once, every address is judged, and the connection goes to the judged address: a name that resolves differently
a moment later (DNS rebinding) changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import TypeAlias

from modeltrust.domain.errors import UnavailableError, quote

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], tuple[str, ...]]
"""(host, port) → addresses as text; raises OSError."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_METADATA = frozenset(  # cloud metadata services outside the link-local range: never a model source, whatever is allowed
    map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254"))
)


def system_resolve(host: str, port: int) -> tuple[str, ...]:
    """Addresses of a host by the system's resolver, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(host: str, port: int, *, resolve: Resolve, allow_private: bool, loopback_only: bool) -> tuple[str, ...]:
    """Addresses of a host that may be connected to.

    Args:
        host: name or address literal.
        port: TCP port.
        resolve: the resolver.
        allow_private: whether private and loopback addresses are fine.
        loopback_only: nothing but loopback is fine (plain HTTP).

    Raises:
        UnavailableError: the host does not resolve, or any one of its addresses is refused: a name that mixes a public and an
            internal address is not an accident.
    """
    try:
        texts = resolve(host, port)
        addresses = tuple(ipaddress.ip_address(text) for text in texts)
    except (OSError, UnicodeError, ValueError) as error:
        raise UnavailableError(f"cannot resolve host {quote(host)}") from error
    if not addresses:
        raise UnavailableError(f"host {quote(host)} has no address")
    for address in addresses:
        wrong = refusal(address, allow_private=allow_private, loopback_only=loopback_only)
        if wrong:
            raise UnavailableError(f"host {quote(host)} resolves to {wrong}, expected a public address")
    return texts


def refusal(address: Address, *, allow_private: bool, loopback_only: bool = False) -> str:
    """Why an address is refused; empty where it is fine."""
    inner = _embedded(address)
    if inner is not None:
        return refusal(inner, allow_private=allow_private, loopback_only=loopback_only)
    if address.is_link_local or address in _METADATA:
        return "a link-local or metadata address"
    if loopback_only:
        return "" if address.is_loopback else "another machine, where only HTTPS is spoken"
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback):
        return "a reserved address"
    if not address.is_global and not allow_private:
        return "a private address"
    return ""


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
