"""Ways out: SMTP over connections that stay open, or none at all (`discard://`, for load runs).

A channel answers for each message by itself: gone, to be tried again, or refused for good. Where the server as a whole
is at fault (away, wrong password, sender not allowed), nothing was tried that a message could be given up for: it is
left as it was, since somebody will mend that. So is what could not be sent in the time that was given.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import aiosmtplib

SMTP_TIMEOUT = 20.0
"""Seconds of the wall clock for one step of the SMTP conversation."""

DELIVERY_SECONDS = 60.0
"""Of the wall clock, for one message with all its steps, the opening of a connection among them."""

_SERVICE_NOT_AVAILABLE, _TOO_LARGE = 421, 552


class Verdict(StrEnum):
    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"
    AWAY = "away"
    """The server cannot be worked with at all."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cause` is short and holds no address: a code and where it came from."""

    verdict: Verdict
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One mail as it goes over the wire."""

    sender: str
    recipient: str
    content: bytes


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        """One outcome per message, in their order; never raises for what a server does.

        Begins no message once so many seconds are over; one takes up to `DELIVERY_SECONDS` more.
        """

    async def close(self) -> None: ...


class Discard:
    """Takes everything and sends nothing."""

    name = "discard"

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        return [Outcome(Verdict.SENT) for _ in messages]

    async def close(self) -> None:
        return None


@dataclass
class Smtp:
    """Up to `connections` conversations with one server, kept open between batches."""

    server: SplitResult
    connections: int
    name: str = field(default="email", init=False)
    _open: list[aiosmtplib.SMTP] = field(default_factory=list, init=False)

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        outcomes = [Outcome(Verdict.NOT_TRIED, "not_tried")] * len(messages)
        todo = iter(enumerate(messages))
        workers = min(self.connections, len(messages))
        until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(self._work(todo, outcomes, until) for _ in range(workers)))
        return outcomes

    async def _work(self, todo: Iterator[tuple[int, Message]], outcomes: list[Outcome], until: float) -> None:
        client = self._open.pop() if self._open else None
        while asyncio.get_running_loop().time() < until and (following := next(todo, None)):
            index, message = following
            client, outcomes[index] = await self._deliver(client, message)
            if client is None or outcomes[index].verdict is Verdict.AWAY:
                break  # what is left was not tried, and is tried with the next batch
        if client is not None:
            self._open.append(client)

    async def _deliver(
        self, client: aiosmtplib.SMTP | None, message: Message
    ) -> tuple[aiosmtplib.SMTP | None, Outcome]:
        """Send one message; a kept connection that the server has closed meanwhile is opened anew, once."""
        until = asyncio.get_running_loop().time() + DELIVERY_SECONDS
        if client is not None and (outcome := await self._hand_over(client, message, until)):
            return (client if client.is_connected else None), outcome
        client, away = await self._connect(until)
        if client is None:
            return None, Outcome(Verdict.AWAY, f"connection: {away}")
        outcome = await self._hand_over(client, message, until) or Outcome(Verdict.LATER, "connection: lost")
        return (client if client.is_connected else None), outcome

    async def _hand_over(self, client: aiosmtplib.SMTP, message: Message, until: float) -> Outcome | None:
        """None where the server has hung up. A connection that is of no more use is closed."""
        try:
            async with asyncio.timeout_at(until):
                await client.sendmail(message.sender, [message.recipient], message.content)
        except TimeoutError:
            client.close()
            return Outcome(Verdict.LATER, "timeout")
        except OSError:
            client.close()
            return None
        except aiosmtplib.SMTPException as error:
            return _judge(error)
        except ValueError:
            return Outcome(Verdict.REFUSED, "address_not_writable")
        return Outcome(Verdict.SENT)

    async def _connect(self, until: float) -> tuple[aiosmtplib.SMTP | None, str]:
        """A connection that is ready to take mail, or why there is none."""
        starttls = True if "starttls" in parse_qs(self.server.query, keep_blank_values=True) else None
        client = aiosmtplib.SMTP(
            hostname=self.server.hostname,
            port=self.server.port or 25,
            username=unquote(self.server.username) if self.server.username else None,
            password=unquote(self.server.password) if self.server.password else None,
            start_tls=starttls,
            timeout=SMTP_TIMEOUT,
        )
        try:
            async with asyncio.timeout_at(until):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            return None, _named(error)
        return client, ""

    async def close(self) -> None:
        for client in self._open:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        self._open.clear()


def _judge(error: aiosmtplib.SMTPException) -> Outcome:
    """5xx about the recipient or the message is final, 4xx is tried again; about anything else, the server is away."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _by_code(error.recipients[0].code if error.recipients else 0, "recipient")
    if isinstance(error, aiosmtplib.SMTPDataError):
        return _by_code(error.code, "data")
    if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code == _TOO_LARGE:
        return _by_code(error.code, "size")
    return Outcome(Verdict.AWAY, _named(error))


def _by_code(code: int, step: str) -> Outcome:
    if code == _SERVICE_NOT_AVAILABLE:
        return Outcome(Verdict.AWAY, f"smtp {code} {step}")
    return Outcome(Verdict.REFUSED if code >= 500 else Verdict.LATER, f"smtp {code} {step}")


def _named(error: Exception) -> str:
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def open_channel(url: str, connections: int) -> Channel:
    """The channel that `SMTP_URL` names; nothing is connected before the first message."""
    parts = urlsplit(url)
    return Discard() if parts.scheme == "discard" else Smtp(parts, connections)
