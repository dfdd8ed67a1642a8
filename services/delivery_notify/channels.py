"""Ways out: SMTP over connections that stay open, or none at all (`discard://`, for load runs).

A channel answers for each message by itself: gone, to be tried again, or refused for good. A refusal that is not about
this recipient or this message (wrong password, sender not allowed) is to be tried again: somebody will mend it.
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


class Verdict(StrEnum):
    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"


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

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """One outcome per message, in their order; never raises for what a server does."""

    async def close(self) -> None: ...


class Discard:
    """Takes everything and sends nothing."""

    name = "discard"

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
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

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
        outcomes = [Outcome(Verdict.LATER, "not_tried")] * len(messages)
        todo = iter(enumerate(messages))
        workers = min(self.connections, len(messages))
        await asyncio.gather(*(self._work(todo, outcomes) for _ in range(workers)))
        return outcomes

    async def _work(self, todo: Iterator[tuple[int, Message]], outcomes: list[Outcome]) -> None:
        client = self._open.pop() if self._open else None
        for index, message in todo:
            client, outcomes[index] = await self._deliver(client, message)
            if client is None and outcomes[index].verdict is Verdict.LATER:
                return  # the server is away: what is left was not tried, and is tried with the next batch
        if client is not None:
            self._open.append(client)

    async def _deliver(
        self, client: aiosmtplib.SMTP | None, message: Message
    ) -> tuple[aiosmtplib.SMTP | None, Outcome]:
        """Send one message; a kept connection that the server has closed meanwhile is opened anew, once."""
        kept = client is not None
        try:
            client = client or await self._connect()
            await client.sendmail(message.sender, [message.recipient], message.content)
        except aiosmtplib.SMTPTimeoutError:
            _drop(client)
            return None, Outcome(Verdict.LATER, "timeout")
        except (aiosmtplib.SMTPServerDisconnected, OSError) as error:
            _drop(client)
            if kept:
                return await self._deliver(None, message)
            return None, Outcome(Verdict.LATER, f"connection: {type(error).__name__}")
        except aiosmtplib.SMTPException as error:
            return client, _judge(error)
        except ValueError:
            return client, Outcome(Verdict.REFUSED, "address_not_writable")
        return client, Outcome(Verdict.SENT)

    async def _connect(self) -> aiosmtplib.SMTP:
        starttls = True if "starttls" in parse_qs(self.server.query, keep_blank_values=True) else None
        client = aiosmtplib.SMTP(
            hostname=self.server.hostname,
            port=self.server.port or 25,
            username=unquote(self.server.username) if self.server.username else None,
            password=unquote(self.server.password) if self.server.password else None,
            start_tls=starttls,
            timeout=SMTP_TIMEOUT,
        )
        await client.connect()
        return client

    async def close(self) -> None:
        for client in self._open:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        self._open.clear()


def _drop(client: aiosmtplib.SMTP | None) -> None:
    if client is not None:
        client.close()


def _judge(error: aiosmtplib.SMTPException) -> Outcome:
    """5xx about the recipient or the message is final; everything else is tried again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _by_code(error.recipients[0].code if error.recipients else 0, "recipient")
    if isinstance(error, aiosmtplib.SMTPDataError):
        return _by_code(error.code, "data")
    code = getattr(error, "code", None)
    return Outcome(Verdict.LATER, f"{type(error).__name__}{f' {code}' if code else ''}")


def _by_code(code: int, step: str) -> Outcome:
    return Outcome(Verdict.REFUSED if code >= 500 else Verdict.LATER, f"smtp {code} {step}")


def open_channel(url: str, connections: int) -> Channel:
    """The channel that `SMTP_URL` names; nothing is connected before the first message."""
    parts = urlsplit(url)
    return Discard() if parts.scheme == "discard" else Smtp(parts, connections)
