"""Channels over HTTP: one POST per message, and the default classification of responses (RFC 9110).

Refused credentials, a missing API path and rate limits make the channel unavailable; they fail no message. Redirects
are never followed and URLs come from the settings only, so that no customer or shop data can redirect a call (SSRF).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from libs.common.http.outgoing_tls import trusted_authorities
from services.delivery_notify.channels.channel import (
    DELIVERY_TIMEOUT_SECONDS,
    EncodedMessage,
    MessageDraft,
    SendOutcome,
    SendStatus,
    send_each,
)

STEP_TIMEOUT_SECONDS = 20.0
"""Wall-clock limit for one step of a call."""

MAX_CONNECTIONS = 8
MAX_RETRY_AFTER = 3600.0
"""Upper bound in seconds for `Retry-After`."""

_RETRYABLE = (408, 425)
_CHANNEL_FAULTS = (401, 403, 404, 405, 407, 410)


@dataclass
class HttpChannel:
    """HTTP channel, defined by its encoder, its headers and its classification of responses."""

    name: str
    url: str
    encode_message: Callable[[MessageDraft], EncodedMessage]
    headers: Callable[[EncodedMessage], dict[str, str]]
    classify: Callable[[httpx.Response], SendOutcome]
    _client: httpx.AsyncClient | None = field(default=None, init=False)

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        return self.encode_message(draft)

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        return await send_each(messages, time_limit, MAX_CONNECTIONS, self._deliver)

    async def _deliver(self, message: EncodedMessage) -> SendOutcome:
        headers = {"Content-Type": "application/json; charset=utf-8", **self.headers(message)}
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
                return self.classify(await self._open_client().post(self.url, content=message.content, headers=headers))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, f"connection: {type(error).__name__}")
        except (httpx.HTTPError, TimeoutError) as error:  # it may have arrived; the retry has the same idempotency key
            return SendOutcome(SendStatus.TEMPORARY_FAILURE, f"connection: {type(error).__name__}")

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
            self._client = httpx.AsyncClient(
                timeout=STEP_TIMEOUT_SECONDS, follow_redirects=False, limits=limits, verify=trusted_authorities()
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def classify_response(response: httpx.Response) -> SendOutcome:
    """Map a status code to an outcome, for providers without rules of their own."""
    status, cause = response.status_code, f"http {response.status_code}"
    wait = parse_retry_after(response)
    if response.is_success:
        return SendOutcome(SendStatus.SENT)
    if status == 429 or (status == 503 and wait is not None):
        return SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, cause, wait)
    if response.is_redirect or status in _CHANNEL_FAULTS:
        return SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, cause)
    if response.is_server_error or status in _RETRYABLE:
        return SendOutcome(SendStatus.TEMPORARY_FAILURE, cause, wait)
    return SendOutcome(SendStatus.PERMANENT_FAILURE, cause)


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object in the body. Raises `ValueError` for any other body."""
    try:
        body = response.json()
    except RecursionError:
        raise ValueError("body: nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("body: not a JSON object")
    return body


def parse_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After` (a number or a date), at most `MAX_RETRY_AFTER`."""
    value = response.headers.get("Retry-After", "")
    try:
        wait = float(value) if value[:1].isdigit() else _seconds_until(value)
    except ValueError:
        return None
    return min(max(wait, 0.0), MAX_RETRY_AFTER)


def _seconds_until(value: str) -> float:
    moment = parsedate_to_datetime(value)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
