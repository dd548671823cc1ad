"""Which addresses a source may be reached at (attack H2: the worker as a way into the cluster's own network).

Names are resolved once, every address is judged, and the connection goes to the judged address: a name that resolves differently
a moment later (DNS rebinding) changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from modeltrust.domain.errors import UnavailableError, quote

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], tuple[str, ...]]
"""(host, port) → addresses as text; raises OSError."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_RESERVED = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10")))  # RFC 8215: whoever it is translated to; RFC 3879
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))  # RFC 1918, RFC 4193
_METADATA = frozenset(  # cloud metadata services outside the link-local range: never a model source, whatever is allowed
    map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254"))
)


def system_resolve(host: str, port: int) -> tuple[str, ...]:
    """Addresses of a host by the system's resolver, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses beside public ones may be contacted; link-local and metadata addresses never are.

    Attributes:
        private: those of RFC 1918 and unique local IPv6; not carrier-grade NAT, benchmarks or documentation.
        loopback: this machine.
        only_loopback: nothing but this machine (plain HTTP).
    """

    private: bool = False
    loopback: bool = False
    only_loopback: bool = False


def allowed_addresses(host: str, port: int, *, resolve: Resolve, reach: Reach) -> tuple[str, ...]:
    """Addresses of a host that may be connected to.

    Args:
        host: name or address literal.
        port: TCP port.
        resolve: the resolver.
        reach: what is fine beside public addresses.

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
        wrong = refusal(address, reach)
        if wrong:
            raise UnavailableError(f"host {quote(host)} resolves to {wrong}, expected a public address")
    return texts


def refusal(address: Address, reach: Reach) -> str:
    """Why an address is refused; empty where it is fine."""
    inner = _embedded(address)
    if inner is not None:
        return refusal(inner, reach)
    return _refusal(address, reach)


def _refusal(address: Address, reach: Reach) -> str:
    if address.is_link_local or address in _METADATA:
        return "a link-local or metadata address"
    if address.is_loopback:
        return "" if reach.loopback or reach.only_loopback else "a loopback address"
    if reach.only_loopback:
        return "another machine, where only HTTPS is spoken"
    if any(address in network for network in _PRIVATE):
        return "" if reach.private else "a private address"
    if not address.is_global or address.is_multicast or address.is_reserved or any(address in network for network in _RESERVED):
        return "a reserved address"
    return ""


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
