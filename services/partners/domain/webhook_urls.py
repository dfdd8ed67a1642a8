"""Addresses that webhooks may be sent to: URLs when a subscription is made, IP addresses whenever one is connected."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2_000
_NAT64 = IPv6Network("64:ff9b::/96")


def with_plain_scheme(url: str) -> str:
    """Return the URL with its scheme in lower case, as the HTTP client needs it."""
    scheme, colon, rest = url.partition(":")
    return scheme.lower() + colon + rest


def url_fault(url: str, is_http_allowed: bool) -> str | None:
    """Return why webhooks cannot be sent to this URL, or None."""
    if len(url) > MAX_URL_LENGTH or not url.isascii() or any(character <= " " for character in url):
        return f"not a URL; send an https URL of at most {MAX_URL_LENGTH} ASCII characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "not a URL; send an https URL"
    if parts.scheme != "https" and not (is_http_allowed and parts.scheme == "http"):
        return "not https; send an https URL"
    if not host or port == 0:
        return "has no host; send an https URL with a host name"
    if parts.username is not None or parts.password is not None:
        return "contains a user name or password; remove it, since webhooks are signed"
    if parts.fragment:
        return "contains a fragment; remove the part behind #"
    return None


def may_connect(address: str, private: Collection[Network], is_public_allowed: bool = True) -> bool:
    """Return whether webhooks may be sent to this IP address: a public one, or one of the private networks."""
    found = _unwrapped(ip_address(address.partition("%")[0]))
    if any(found.version == network.version and found in network for network in private):
        return True
    is_site_local = found.version == 6 and found.is_site_local  # fec0::/10, which counts as global in Python
    return is_public_allowed and found.is_global and not (found.is_multicast or found.is_reserved or is_site_local)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address inside an IPv6 address, which the operating system would connect to."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address
