"""The certificate authorities that calls out trust: read once in a process, since that takes longer than a call."""

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """As httpx would read them for each of its clients."""
    return httpx.create_ssl_context()
