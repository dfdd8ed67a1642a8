"""One POST to a partner's URL, to addresses that are checked when they are connected (SSRF).

The name is resolved and its addresses are checked in one step with the connection: a check beforehand could be passed
by a name that changes its address in between. Redirects are not followed and no proxy of the environment is used. Each
endpoint resolves in a thread of its own: a name server that never answers holds up the endpoints of that name only.
"""

import asyncio
import socket
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from time import monotonic
from typing import Any

import httpcore

from libs.common.http.outgoing_tls import trusted_authorities
from services.partners.domain.retry_ladder import AttemptResult
from services.partners.domain.webhook_urls import Network, may_connect

MAX_CONNECTIONS = 8
MAX_EXCERPT_BYTES = 1_000
"""Bytes of an answer that are read and logged."""


class AddressRefusedError(Exception):
    """The host has no address that webhooks may be sent to."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Network that connects to allowed addresses only."""

    def __init__(self, private: Collection[Network], is_public_allowed: bool) -> None:
        self._private, self._is_public_allowed = private, is_public_allowed
        self._backend = httpcore.AnyIOBackend()
        self._resolver = ThreadPoolExecutor(1, "webhook-resolver")

    def close(self) -> None:
        """Resolve nothing any more; a resolution that hangs ends with the limit of the system's resolver."""
        self._resolver.shutdown(wait=False, cancel_futures=True)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        allowed = await self._addresses(host.strip("[]"), port)
        error: Exception | None = None
        for address in allowed:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as failed:
                error = failed
        raise error or AddressRefusedError(f"{host}: no public address")

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._resolver, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            )
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: not resolved ({error})") from error
        addresses = dict.fromkeys(str(each[4][0]) for each in found)
        return [each for each in addresses if may_connect(each, self._private, self._is_public_allowed)]

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        raise AddressRefusedError("Unix sockets are not used")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Endpoint:
    """Connections to the URL of one subscription; its own, so that a hanging one holds up no other."""

    def __init__(self, url: str, private: Collection[Network], timeout: float) -> None:
        self.url, self._timeout = url, timeout
        self._network = CheckedNetwork(private, is_public_allowed=url.startswith("https:"))
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted_authorities(),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=10.0,
            network_backend=self._network,
        )

    async def post(self, content: bytes, headers: Mapping[str, str]) -> AttemptResult:
        """Send one webhook; every failure is a result."""
        began = monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._post(content, headers)
        except TimeoutError:
            result = AttemptResult(error=f"no answer within {self._timeout:g} s")
        except AddressRefusedError:
            result = AttemptResult(error="address refused: not public, and not in WEBHOOK_PRIVATE_NETWORKS")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ValueError) as error:
            result = AttemptResult(error=f"{type(error).__name__}: {error}"[:200])
        return AttemptResult(
            result.status, result.error, result.excerpt, result.retry_after, round(monotonic() - began, 3)
        )

    async def _post(self, content: bytes, headers: Mapping[str, str]) -> AttemptResult:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", self.url, headers=sent, content=content) as response:
            excerpt = bytearray()
            async for chunk in response.aiter_stream():
                excerpt += chunk
                if len(excerpt) >= MAX_EXCERPT_BYTES:
                    break
            text = bytes(excerpt[:MAX_EXCERPT_BYTES]).decode(errors="replace").replace("\x00", "\ufffd")
            return AttemptResult(status=response.status, excerpt=text, retry_after=_retry_after(response.headers))

    async def close(self) -> None:
        await self._pool.aclose()
        self._network.close()


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> timedelta | None:
    """Return the time of `Retry-After`, in seconds or as a date; None without or with another one."""
    text = next((value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), "")
    try:
        if text.isascii() and text.isdecimal():
            return timedelta(seconds=min(int(text), 86_400))
        moment = parsedate_to_datetime(text)
        return max(timedelta(0), moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC))
    except (ValueError, OverflowError):
        return None
