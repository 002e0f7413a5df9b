"""Which addresses a webhook may be sent to: global unicast, or with leave private ones.

Narrower than `ipaddress.is_global`, which calls multicast, 6to4 and `::127.0.0.1` global. What only
carries another address is either unwrapped or, where no server of today lives there, refused.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_UNICAST: Final = IPv6Network("2000::/3")  # all that is given out of IPv6
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NEVER: Final = tuple(
    ip_network(each)
    for each in (
        "100.100.100.200/32",  # metadata of Alibaba's cloud
        "168.63.129.16/32",  # Azure's own address inside every machine
        "192.0.0.0/24",  # protocol assignments, among them Oracle's metadata
        "192.88.99.0/24",  # 6to4 relays
        "fd00:ec2::/32",  # metadata of Amazon's cloud
        "2001::/23",  # protocol assignments, among them Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_PRIVATE: Final = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)


def may_be_called(text: str, *, allow_private: bool) -> bool:
    """Say whether a request may go to this address, given as the resolver wrote it."""
    address = _unwrapped(ip_address(text))
    if any(address in network for network in _NEVER):
        return False
    if isinstance(address, IPv6Address):
        is_public = address in _UNICAST
    else:
        is_public = address.is_global and not address.is_multicast
    return is_public or (allow_private and any(address in network for network in _PRIVATE))


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, mapped or behind NAT64."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
