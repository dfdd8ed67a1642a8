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
from services.delivery_notify.rendering.renderer import Rendered

DELIVERY_SECONDS = 60.0
"""Of the wall clock, for one message with all its steps, the opening of a connection among them."""


class Verdict(StrEnum):
    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"
    AWAY = "away"
    """The server cannot be worked with at all."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cause` is short and holds no address: a code and where it came from.

    `retry_after` are the seconds (wall clock) that the server asked for. `dead_address`: it said that nobody is there.
    """

    verdict: Verdict
    cause: str | None = None
    retry_after: float | None = None
    dead_address: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What a channel writes a message from. `key` is the same whenever the message is the same."""

    key: UUID
    name: str
    address: str
    language: str
    date: datetime
    rendered: Rendered


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it goes over the wire; a server that honours `key` shows it once, however often it comes."""

    key: UUID
    recipient: str
    content: bytes


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def write(self, draft: Draft) -> Message:
        """Raises `ValueError` where it cannot be written for this way out."""

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        """One outcome per message, in their order; never raises for what a server does.

        Begins no message once so many seconds are over; one takes up to `DELIVERY_SECONDS` more.
        """

    async def close(self) -> None: ...


class Discard:
    """Takes everything and sends nothing (`discard://`, for load runs)."""

    name = "discard"

    def __init__(self, write: Callable[[Draft], Message]) -> None:
        self._write = write

    def write(self, draft: Draft) -> Message:
        return self._write(draft)

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        return [Outcome(Verdict.SENT) for _ in messages]

    async def close(self) -> None:
        return None


Deliver = Callable[[Message], Awaitable[Outcome]]


async def send_each(messages: Sequence[Message], seconds: float, at_a_time: int, deliver: Deliver) -> list[Outcome]:
    """Deliver each by itself, some at a time; what is left when the server turns out to be away is not tried."""
    outcomes = [Outcome(Verdict.NOT_TRIED, "not_tried")] * len(messages)
    todo = iter(enumerate(messages))
    until = asyncio.get_running_loop().time() + seconds
    workers = (_work(todo, outcomes, until, deliver) for _ in range(min(at_a_time, len(messages))))
    await asyncio.gather(*workers)
    return outcomes


async def _work(todo: Iterator[tuple[int, Message]], outcomes: list[Outcome], until: float, deliver: Deliver) -> None:
    while asyncio.get_running_loop().time() < until and (following := next(todo, None)):
        index, message = following
        outcomes[index] = await deliver(message)
        failpoint("message_delivered")
        if outcomes[index].verdict is Verdict.AWAY:
            break
