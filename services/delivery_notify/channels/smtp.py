"""Mail: SMTP over connections that stay open, plain text and HTML, TLS and login where the server wants them.

RFC 5321 for the answers (4yz is tried again, 5yz is final), RFC 3207 for STARTTLS, RFC 3463 for the codes of mailboxes
that do not exist. The `Message-ID` follows from the notice, so that a second copy is one message to a mail program.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import aiosmtplib

from services.delivery_notify.channels.channel import (
    DELIVERY_SECONDS,
    Channel,
    Discard,
    Draft,
    Message,
    Outcome,
    Verdict,
    send_each,
)
from services.delivery_notify.rendering.mime import Envelope, write_mail

SMTP_TIMEOUT = 20.0
"""Seconds of the wall clock for one step of the SMTP conversation."""

_SERVICE_NOT_AVAILABLE, _TOO_LARGE = 421, 552
_NO_SUCH_MAILBOX = (550, 551, 553)


@dataclass(frozen=True, slots=True)
class MailWriter:
    """Writes mails of this sender: its name and its address."""

    sender: tuple[str, str]

    def write(self, draft: Draft) -> Message:
        envelope = Envelope(self.sender, (draft.name, draft.address), draft.key, draft.language, draft.date)
        return Message(draft.key, draft.address, write_mail(envelope, draft.rendered))


@dataclass
class Smtp:
    """Up to `connections` conversations with one server, kept open between batches."""

    server: SplitResult
    connections: int
    writer: MailWriter
    name: str = field(default="email", init=False)
    _open: list[aiosmtplib.SMTP] = field(default_factory=list, init=False)

    def write(self, draft: Draft) -> Message:
        return self.writer.write(draft)

    async def send(self, messages: Sequence[Message], seconds: float) -> list[Outcome]:
        return await send_each(messages, seconds, self.connections, self._by_a_kept_connection)

    async def _by_a_kept_connection(self, message: Message) -> Outcome:
        client, outcome = await self._deliver(self._open.pop() if self._open else None, message)
        if client is not None:
            self._open.append(client)
        return outcome

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
                await client.sendmail(self.writer.sender[1], [message.recipient], message.content)
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
        query, at_once = parse_qs(self.server.query, keep_blank_values=True), self.server.scheme == "smtps"
        client = aiosmtplib.SMTP(
            hostname=self.server.hostname,
            port=self.server.port or (465 if at_once else 25),
            use_tls=at_once,
            cert_bundle=query.get("ca", [None])[0],
            username=unquote(self.server.username) if self.server.username else None,
            password=unquote(self.server.password) if self.server.password else None,
            start_tls=True if "starttls" in query else None,
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
        code = error.recipients[0].code if error.recipients else 0
        return replace(_by_code(code, "recipient"), dead_address=code in _NO_SUCH_MAILBOX)
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


def open_mail(url: str, connections: int, sender: tuple[str, str]) -> Channel:
    """The way out that `SMTP_URL` names; nothing is connected before the first message."""
    parts, writer = urlsplit(url), MailWriter(sender)
    return Discard(writer.write) if parts.scheme == "discard" else Smtp(parts, connections, writer)
