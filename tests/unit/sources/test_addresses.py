import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import UnavailableError
from modeltrust.sources.addresses import Reach, allowed_addresses, refusal, system_resolve

ALWAYS_REFUSED = [
    "169.254.169.254",
    "169.254.170.2",
    "fe80::1",
    "100.100.100.200",
    "fd00:ec2::254",
    "fd20:ce::254",
    "0.0.0.0",  # noqa: S104 - refused, not bound
    "::",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "2001:db8::1",
    "64:ff9b:1::a00:1",
    "fec0::1",
    "::10.0.0.1",
]
LOOPBACK = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
    "2001:0:0:0:0:0:80ff:fffe",
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"]
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e", "8.8.8.8"]


EVERYTHING = Reach(private=True, loopback=True)


@pytest.mark.parametrize("reach", [Reach(), EVERYTHING, Reach(only_loopback=True)])
@pytest.mark.parametrize("text", ALWAYS_REFUSED)
def test_metadata_link_local_and_reserved_addresses_are_always_refused(text: str, reach: Reach) -> None:
    assert refusal(ipaddress.ip_address(text), reach)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_refused_unless_allowed_however_they_are_wrapped(text: str) -> None:
    assert refusal(ipaddress.ip_address(text), Reach(loopback=True))
    assert not refusal(ipaddress.ip_address(text), Reach(private=True))


@pytest.mark.parametrize("text", LOOPBACK)
def test_this_machine_is_refused_unless_allowed_however_it_is_wrapped(text: str) -> None:
    assert refusal(ipaddress.ip_address(text), Reach(private=True))
    assert not refusal(ipaddress.ip_address(text), Reach(loopback=True))
    assert not refusal(ipaddress.ip_address(text), Reach(only_loopback=True))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_fine_except_for_plain_http(text: str) -> None:
    assert not refusal(ipaddress.ip_address(text), Reach())
    assert refusal(ipaddress.ip_address(text), Reach(private=True, only_loopback=True))


@given(st.ip_addresses())
@settings(max_examples=100)
def test_nothing_that_is_not_global_is_ever_reached_by_default(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not refusal(address, Reach()):
        carried = getattr(address, "sixtofour", None) or address  # releases of Python differ on whether the tunnel is global
        assert carried.is_global


def allowed(*addresses: str, allow_private: bool = False) -> tuple[str, ...]:
    return allowed_addresses("h.test", 443, resolve=lambda *_: addresses, reach=Reach(private=allow_private))


def test_a_name_with_one_bad_address_is_refused_as_a_whole() -> None:
    assert allowed("8.8.8.8", "2606:4700::1") == ("8.8.8.8", "2606:4700::1")
    for mixed in (("8.8.8.8", "10.0.0.1"), ("fe80::1", "8.8.8.8")):
        with pytest.raises(UnavailableError, match="resolves to"):
            allowed(*mixed)


@pytest.mark.parametrize("addresses", [(), ("not an address",), ("fe80::1%eth0x",), ("",)])
def test_a_name_without_usable_addresses_is_unavailable(addresses: tuple[str, ...]) -> None:
    with pytest.raises(UnavailableError):
        allowed(*addresses, allow_private=True)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
def test_a_resolver_that_fails_is_unavailable(error: Exception) -> None:
    def resolve(_host: str, _port: int) -> tuple[str, ...]:
        raise error

    with pytest.raises(UnavailableError, match="cannot resolve"):
        allowed_addresses("h.test", 443, resolve=resolve, reach=EVERYTHING)


def test_the_systems_resolver_gives_addresses_as_text() -> None:
    assert system_resolve("127.0.0.1", 80) == ("127.0.0.1",)
