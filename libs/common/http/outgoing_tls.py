"""TLS context of outgoing HTTPS calls."""

import ssl
from functools import cache

import httpx


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Return the TLS context with the trusted authorities, read once per process: reading takes longer than a call."""
    return httpx.create_ssl_context()
