"""What every way out has in common: a message is written for it, handed over, and answered for by itself.

Gone, to be tried again, or refused for good. Where the server as a whole is at fault (away, wrong password, sender not
allowed, too many calls), nothing was tried that a message could be given up for: it is left as it was, since somebody
will mend that. So is what could not be sent in the time that was given.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from libs.common.messaging.failpoints import failpoint
from services.delivery_notify.rendering.renderer import RenderedMessage

DELIVERY_TIMEOUT_SECONDS = 60.0
"""Of the wall clock, for one message with all its steps, the opening of a connection among them."""


class SendStatus(StrEnum):
    SENT = "sent"
    TEMPORARY_FAILURE = "later"
    PERMANENT_FAILURE = "refused"
    CHANNEL_UNAVAILABLE = "away"
    """The server cannot be worked with at all."""
    NOT_ATTEMPTED = "not_tried"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """`cause` is short and holds no address: a code and where it came from.

    `retry_after` are the seconds (wall clock) that the server asked for. `dead_address`: it said that nobody is there.
    """

    status: SendStatus
    cause: str | None = None
    retry_after: float | None = None
    invalid_address: bool = False


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """What a channel writes a message from. `key` is the same whenever the message is the same."""

    idempotency_key: UUID
    recipient_name: str
    address: str
    language: str
    written_at: datetime
    rendered: RenderedMessage


@dataclass(frozen=True, slots=True)
class EncodedMessage:
    """One message as it goes over the wire; a server that honours `key` shows it once, however often it comes."""

    idempotency_key: UUID
    recipient: str
    content: bytes


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        """Raises `ValueError` where it cannot be written for this way out."""

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        """One outcome per message, in their order; never raises for what a server does.

        Begins no message once so many seconds are over; one takes up to `DELIVERY_SECONDS` more.
        """

    async def close(self) -> None: ...


class DiscardChannel:
    """Takes everything and sends nothing (`discard://`, for load runs)."""

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
    """Deliver each by itself, some at a time; what is left when the server turns out to be away is not tried."""
    outcomes = [SendOutcome(SendStatus.NOT_ATTEMPTED, "not_tried")] * len(messages)
    queue = iter(enumerate(messages))
    deadline = asyncio.get_running_loop().time() + time_limit
    workers = (_work(queue, outcomes, deadline, deliver) for _ in range(min(concurrency, len(messages))))
    await asyncio.gather(*workers)
    return outcomes


async def _work(
    queue: Iterator[tuple[int, EncodedMessage]], outcomes: list[SendOutcome], deadline: float, deliver: DeliverMessage
) -> None:
    while asyncio.get_running_loop().time() < deadline and (following := next(queue, None)):
        index, message = following
        outcomes[index] = await deliver(message)
        failpoint("message_delivered")
        if outcomes[index].status is SendStatus.CHANNEL_UNAVAILABLE:
            break
