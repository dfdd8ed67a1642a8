"""Channel interface: encode a message, send a batch of them, report one outcome per message.

Faults of the server as a whole (unreachable, wrong credentials, sender not allowed, rate limit) are
`CHANNEL_UNAVAILABLE`: no message is charged an attempt for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.messaging.failpoints import failpoint

DELIVERY_TIMEOUT_SECONDS = 60.0
"""Wall-clock limit for one message with all its steps, opening a connection included."""


class SendStatus(StrEnum):
    SENT = "sent"
    TEMPORARY_FAILURE = "temporary_failure"
    PERMANENT_FAILURE = "permanent_failure"
    CHANNEL_UNAVAILABLE = "channel_unavailable"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """Result of sending one message.

    `cause` is a short code without an address. `retry_after` is the delay in seconds (wall clock) that the server
    asked for. `invalid_address`: the server reported that the recipient does not exist. `blocked`: it refuses mail from
    our server, so that staff have to act.
    """

    status: SendStatus
    cause: str | None = None
    retry_after: float | None = None
    invalid_address: bool = False
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """`brief` is for channels with room for a sentence or two: the subject names the fact and its date.

    `unsubscribe_url` is set for advertising: a POST to it withdraws the consent (RFC 8058).
    """

    subject: str
    text: str
    html: str
    brief: str = ""
    unsubscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """Rendered message with its recipient. Equal messages have equal `idempotency_key`s.

    `issue_id` and `order_id` are what an answer to it is about; neither where it is about several.
    """

    idempotency_key: UUID
    recipient_name: str
    address: str
    language: str
    written_at: datetime
    rendered: RenderedMessage
    issue_id: UUID | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class EncodedMessage:
    """Message as sent over the wire; a server that honours the key shows repeated copies once."""

    idempotency_key: UUID
    recipient: str
    content: bytes


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        """Raises `ValueError` where this channel cannot represent the message."""

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        """Return one outcome per message, in their order; server faults never raise.

        Starts no message after `time_limit` seconds; one in progress takes up to `DELIVERY_TIMEOUT_SECONDS` more.
        """

    async def close(self) -> None: ...


class DiscardChannel:
    """Accepts every message and sends nothing (`discard://`, for load runs)."""

    name = "discard"

    def __init__(self, encode: Callable[[MessageDraft], EncodedMessage]) -> None:
        self._encode = encode

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        return self._encode(draft)

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        return [SendOutcome(SendStatus.SENT) for _ in messages]

    async def close(self) -> None:
        return None


DeliverMessage = Callable[[EncodedMessage], Awaitable[SendOutcome]]


async def send_each(
    messages: Sequence[EncodedMessage], time_limit: float, concurrency: int, deliver: DeliverMessage
) -> list[SendOutcome]:
    """Deliver each message by itself, `concurrency` at a time; stop once the channel is unavailable."""
    outcomes = [SendOutcome(SendStatus.NOT_ATTEMPTED, "not_attempted")] * len(messages)
    queue = iter(enumerate(messages))
    deadline = asyncio.get_running_loop().time() + time_limit
    workers = (_work(queue, outcomes, deadline, deliver) for _ in range(min(concurrency, len(messages))))
    await asyncio.gather(*workers)
    return outcomes


async def _work(
    queue: Iterator[tuple[int, EncodedMessage]], outcomes: list[SendOutcome], deadline: float, deliver: DeliverMessage
) -> None:
    while asyncio.get_running_loop().time() < deadline and (entry := next(queue, None)):
        index, message = entry
        outcomes[index] = await deliver(message)
        failpoint("message_delivered")
        if outcomes[index].status is SendStatus.CHANNEL_UNAVAILABLE:
            break
