"""SMTP channel with a pool of open connections, TLS and authentication.

RFC 5321 for the reply codes (4yz is retried, 5yz is final), RFC 3207 for STARTTLS, RFC 6531 for addresses that are not
ASCII (only where the server offers SMTPUTF8).

The `Message-ID` is derived from the notice id, so that mail programs show a repeated copy once.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import aiosmtplib

from libs.common.http.reply_addresses import ReplyAddresses
from services.delivery_notify.channels.channel import (
    DELIVERY_TIMEOUT_SECONDS,
    Channel,
    DiscardChannel,
    EncodedMessage,
    MessageDraft,
    SendOutcome,
    SendStatus,
    send_each,
)
from services.delivery_notify.channels.mail_answers import classify_answer
from services.delivery_notify.channels.mime import MailEnvelope, encode_mail

STEP_TIMEOUT_SECONDS = 20.0
"""Wall-clock limit for one step of an SMTP session."""

_FINAL, _TOO_LARGE = 500, 552


@dataclass(frozen=True, slots=True)
class MailEncoder:
    """Encoder of mails from one sender, with a mailbox for replies (name and address each).

    With `replies`, a mail about one issue or order has an address of its own for answers, in the name of the mailbox.
    """

    sender: tuple[str, str]
    reply_to: tuple[str, str] | None = None
    replies: ReplyAddresses | None = None

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        thread = self._thread(draft)
        envelope = MailEnvelope(
            self.sender,
            (draft.recipient_name, draft.address),
            draft.idempotency_key,
            draft.language,
            draft.written_at,
            ((self.reply_to or self.sender)[0], thread) if thread else self.reply_to,
            thread,
        )
        return EncodedMessage(draft.idempotency_key, draft.address, encode_mail(envelope, draft.rendered))

    def _thread(self, draft: MessageDraft) -> str:
        """Return the address for answers to this mail; empty where it is that of the shop."""
        if self.replies and draft.issue_id:
            return self.replies.of_issue(draft.issue_id)
        return self.replies.of_order(draft.order_id) if self.replies and draft.order_id else ""


@dataclass
class SmtpChannel:
    """Up to `connections` sessions with one server, kept open between batches."""

    server: SplitResult
    connections: int
    encoder: MailEncoder
    name: str = field(default="email", init=False)
    _idle: list[aiosmtplib.SMTP] = field(default_factory=list, init=False)

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        return self.encoder.encode(draft)

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        return await send_each(messages, time_limit, self.connections, self._deliver_pooled)

    async def _deliver_pooled(self, message: EncodedMessage) -> SendOutcome:
        client, outcome = await self._deliver(self._idle.pop() if self._idle else None, message)
        if client is not None:
            self._idle.append(client)
        return outcome

    async def _deliver(
        self, client: aiosmtplib.SMTP | None, message: EncodedMessage
    ) -> tuple[aiosmtplib.SMTP | None, SendOutcome]:
        """Send one message; reconnect once if the server has closed an idle connection."""
        deadline = asyncio.get_running_loop().time() + DELIVERY_TIMEOUT_SECONDS
        if client is not None and (outcome := await self._transmit(client, message, deadline)):
            return (client if client.is_connected else None), outcome
        client, error = await self._connect(deadline)
        if client is None:
            return None, SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, f"connection: {error}")
        outcome = await self._transmit(client, message, deadline) or SendOutcome(
            SendStatus.TEMPORARY_FAILURE, "connection: lost"
        )
        return (client if client.is_connected else None), outcome

    async def _transmit(self, client: aiosmtplib.SMTP, message: EncodedMessage, deadline: float) -> SendOutcome | None:
        """Return None if the server closed the connection; a broken connection is closed here."""
        try:
            async with asyncio.timeout_at(deadline):
                options = () if message.recipient.isascii() else ("SMTPUTF8", "BODY=8BITMIME")
                sender, recipients = self.encoder.sender[1], [message.recipient]
                await client.sendmail(sender, recipients, message.content, mail_options=options)
        except TimeoutError:
            client.close()
            return SendOutcome(SendStatus.TEMPORARY_FAILURE, "timeout")
        except OSError:
            client.close()
            return None
        except aiosmtplib.SMTPException as error:
            return _classify_error(error)
        except ValueError:
            return SendOutcome(SendStatus.PERMANENT_FAILURE, "invalid_address")
        return SendOutcome(SendStatus.SENT)

    async def _connect(self, deadline: float) -> tuple[aiosmtplib.SMTP | None, str]:
        """Open an authenticated connection, or return None and the cause."""
        query, implicit_tls = parse_qs(self.server.query, keep_blank_values=True), self.server.scheme == "smtps"
        client = aiosmtplib.SMTP(
            hostname=self.server.hostname,
            port=self.server.port or (465 if implicit_tls else 25),
            use_tls=implicit_tls,
            cert_bundle=query.get("ca", [None])[0],
            username=unquote(self.server.username) if self.server.username else None,
            password=unquote(self.server.password) if self.server.password else None,
            start_tls=True if "starttls" in query else None,
            timeout=STEP_TIMEOUT_SECONDS,
        )
        try:
            async with asyncio.timeout_at(deadline):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            return None, _describe(error)
        return client, ""

    async def close(self) -> None:
        for client in self._idle:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        self._idle.clear()


def _classify_error(error: aiosmtplib.SMTPException) -> SendOutcome:
    """Map an SMTP error: recipient and message errors concern the message, all others the channel."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        first = next(iter(error.recipients), None)
        return classify_answer(first.code if first else 0, first.message if first else "", "recipient")
    if isinstance(error, aiosmtplib.SMTPDataError):
        return classify_answer(error.code, error.message, "data")
    if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code == _TOO_LARGE:
        return classify_answer(error.code, error.message, "size")
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "smtputf8_not_offered")
    refused = isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= _FINAL
    return SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, _describe(error), blocked=refused)


def _describe(error: Exception) -> str:
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def mail_channel(
    url: str,
    connections: int,
    sender: tuple[str, str],
    reply_to: tuple[str, str] | None = None,
    replies: ReplyAddresses | None = None,
) -> Channel:
    """Create the channel for `SMTP_URL`; connections open with the first message."""
    parts, writer = urlsplit(url), MailEncoder(sender, reply_to, replies)
    return DiscardChannel(writer.encode) if parts.scheme == "discard" else SmtpChannel(parts, connections, writer)
