"""Where the server may call: addresses that an admin named, but none that only speaks to the machine's own cloud.

Loopback and private addresses are allowed, because an admin named them: a model on the same machine is a common one.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from freeplay_like.server.store.views import Refused

_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)
"""Where clouds tell their machines secrets, beside 169.254.0.0/16: AWS over IPv6, Alibaba, Oracle, Azure's host.

From their documentation, read in November 2026.
"""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(Refused):
    """An address that the server does not call."""


def check_base_url(text: str) -> str:
    """A base address as it is kept, without a slash at its end.

    Raises:
        AddressRefused: it is no address of a provider, or one that is not called.
    """
    problem = _problem(text)
    if problem is not None:
        raise AddressRefused(f"base_url {problem}; give an address such as https://api.openai.com/v1")
    check_host(text)
    return text.rstrip("/")


def check_host(base_url: str) -> None:
    """Look up whom an address leads to now. A name that nobody knows is left for the call to fail at.

    Raises:
        AddressRefused: to where the server does not call.
    """
    parts = urlsplit(base_url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if is_refused(address):
            raise AddressRefused(
                f"base_url leads to {address}, which is link-local, a cloud's metadata service or no single machine: "
                "it is not called"
            )


def is_refused(address: Address) -> bool:
    """Whether an address is never called, in whatever form of IPv6 it is wrapped."""
    plain = _unwrapped(address)
    return plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain in _METADATA


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _problem(text: str) -> str | None:
    """What keeps a text from being the base of a provider's addresses. The text itself may hold a password."""
    if not text.isprintable() or not text.isascii() or " " in text or "\\" in text:
        return "has characters that no address has"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        return f"is no address ({exc})"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "is no address of http or https"
    if "@" in parts.netloc:
        return "holds a user or a password: give the key as 'secret'"
    if "?" in text or "#" in text:
        return "has a query or a fragment"
    return None
