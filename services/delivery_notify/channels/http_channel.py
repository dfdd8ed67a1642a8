"""What the ways out over HTTP have in common: one POST per message, and what the answer means.

RFC 9110 for the status codes and `Retry-After`. Refused credentials, an address of the API that is gone and too many
calls are faults of the whole way out, not of one message. Redirects are never followed, and an address is taken from
the settings only, so that nothing a customer or a shop system writes can make us call somewhere else.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from services.delivery_notify.channels.channel import (
    DELIVERY_SECONDS,
    Draft,
    Message,
    Outcome,
    Verdict,
    send_each,
)

HTTP_TIMEOUT = 20.0
"""Seconds of the wall clock for one step of a call."""

AT_A_TIME = 8
LONGEST_WAIT = 3600.0
"""A server that asks for a longer rest (seconds) is asked again after this."""

_UNKNOWN_FATE = (408, 425)
_FAULT_OF_THE_WHOLE = (401, 403, 404, 405, 407, 410)


@cache
def authorities() -> ssl.SSLContext:
    """Whom calls out trust, read once in a process: that takes longer than a call."""
    return httpx.create_ssl_context()


@dataclass
class HttpChannel:
    """A way out over HTTP: how a message is written, which headers it goes with, and what an answer means."""

    name: str
    url: str
    write_message: Callable[[Draft], Message]
    headers: Callable[[Message], dict[str, str]]
    judge: Callable[[httpx.Response], Outcome]
    _client: httpx.AsyncClient | None = field(default=None, init=False)

    def write(self, draft: Draft) -> Message:
        return self.write_message(draft)

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        return await send_each(messages, seconds, AT_A_TIME, self._deliver)

    async def _deliver(self, message: Message) -> Outcome:
        headers = {"Content-Type": "application/json; charset=utf-8", **self.headers(message)}
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                return self.judge(await self._opened().post(self.url, content=message.content, headers=headers))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Outcome(Verdict.AWAY, f"connection: {type(error).__name__}")
        except (httpx.HTTPError, TimeoutError) as error:  # it may have arrived: again, with the same key
            return Outcome(Verdict.LATER, f"connection: {type(error).__name__}")

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=AT_A_TIME)
            self._client = httpx.AsyncClient(
                timeout=HTTP_TIMEOUT, follow_redirects=False, limits=limits, verify=authorities()
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def judge(response: httpx.Response) -> Outcome:
    """What a status code means where a provider's documents say nothing else."""
    status, cause = response.status_code, f"http {response.status_code}"
    rest = retry_after(response)
    if response.is_success:
        return Outcome(Verdict.SENT)
    if status == 429 or (status == 503 and rest is not None):
        return Outcome(Verdict.AWAY, cause, rest)
    if response.is_redirect or status in _FAULT_OF_THE_WHOLE:
        return Outcome(Verdict.AWAY, cause)
    if response.is_server_error or status in _UNKNOWN_FATE:
        return Outcome(Verdict.LATER, cause, rest)
    return Outcome(Verdict.REFUSED, cause)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds until the server wants to be asked again: a number or a date, at most `LONGEST_WAIT`."""
    value = response.headers.get("Retry-After", "")
    try:
        rest = float(value) if value[:1].isdigit() else _until(value)
    except ValueError:
        return None
    return min(max(rest, 0.0), LONGEST_WAIT)


def _until(value: str) -> float:
    moment = parsedate_to_datetime(value)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
