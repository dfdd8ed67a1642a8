"""Address of a caller, as attempts are counted for it."""

from ipaddress import ip_address, ip_network

from fastapi import Request

IPV6_PREFIX = 64
"""One customer of a provider has as many addresses as this prefix holds."""


def client_network(address: str) -> str:
    """Return the address that attempts are counted for: an IPv4 address, or the network of an IPv6 address.

    A socket for both versions names IPv4 callers as `::ffff:a.b.c.d`, which are one IPv6 network.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or ip_network((parsed, IPV6_PREFIX), strict=False))


def caller_network(request: Request) -> str:
    """Return the network of a request's caller; `X-Forwarded-For` counts from TRUSTED_PROXIES only (`server`)."""
    return client_network(request.client.host if request.client else "")
